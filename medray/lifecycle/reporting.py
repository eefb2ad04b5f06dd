"""x"""
def write_train_report(r): return ""
def write_screen_report(r): return ""
