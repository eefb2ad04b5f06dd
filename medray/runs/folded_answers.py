"""The answers of the models of a run that were fitted in folds, as its folder keeps them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from medray.bundles.registry import root_of
from medray.data import store, tables
from medray.data.folds import FOLD

ANSWERS = "out_of_fold.parquet"
"""Name of the table. Of each image and repeat: ``repeat``, ``fold``, ``uri``, ``target``, ``group`` and the answer's columns of
each model, each name after the model's and a dot."""

REPEAT = "repeat"


def keep_answers(run_uri: str, answers: pa.Table) -> None:
    """Write the table of a run.

    Args:
        answers: its columns, and others of the samples, which are left out.
    """
    kept = answers.drop_columns([name for name in ("patient_key", "split") if name in answers.column_names])
    store.write(store.join(run_uri, ANSWERS), tables.parquet_bytes(kept))


def mean_of_repeats(answers: pa.Table) -> pa.Table:
    """One row an image, sorted by URI: the mean of its answers over the repeats, without ``repeat`` and ``fold``.

    Answers are float64 where there are several repeats.
    """
    parts = [answers.filter(pc.equal(answers[REPEAT], one)).sort_by("uri") for one in pc.unique(answers[REPEAT]).to_pylist()]
    rows = parts[0].drop_columns([REPEAT, FOLD])
    if len(parts) == 1:
        return rows
    for place, name in enumerate(rows.column_names):
        if "." in name:
            mean = np.mean([part[name].to_numpy() for part in parts], axis=0)
            rows = rows.set_column(place, name, pa.array(mean))
    return rows


def answers_out_of_fold(bundle_uri: str, run: str, model: str) -> pa.Table | None:
    """What a model's folds said of images that they had not seen: ``uri`` and the answer's columns; None where none is kept.

    Args:
        bundle_uri: what was made of the folds.
        run, model: names.
    """
    place = store.join(root_of(bundle_uri) or "", "runs", run, ANSWERS)
    if not store.exists(place):
        return None
    rows = mean_of_repeats(pq.read_table(pa.BufferReader(store.read(place))))
    own = {name: name.removeprefix(f"{model}.") for name in rows.column_names if name.startswith(f"{model}.")}
    return rows.select(["uri", *own]).rename_columns(["uri", *own.values()])
