"""The text of a pipeline's shape: the same for the same shape, whatever its numbers; another for another."""

from __future__ import annotations

import apache_beam as beam
import pytest

from beam_jobs.pipelines.graph import graph_lines

pytestmark = pytest.mark.beam


def lines(*values, name="Add", more=False):
    pipeline = beam.Pipeline()
    made = pipeline | beam.Create(list(values)) | name >> beam.Map(lambda x: x + len(values))
    if more:
        _ = made | "Again" >> beam.Map(print)
    return graph_lines(pipeline)


def test_the_same_shape_is_the_same_text():
    assert lines(1, 2) == lines(3, 4)
    assert lines(1) == lines(2)


def test_another_name_place_or_transform_is_another_text():
    plain = set(lines(1))
    assert set(lines(1, more=True)) - plain == {"Again <- Add"}
    assert {line for line in lines(1, name="Sum") if line not in plain} == {"Sum <- Create/Map(decode)"}


def test_what_passes_its_input_on_is_no_maker_of_it():
    """`Create` of one value has a reshuffle that does nothing; the order of a map would say who made its output."""
    assert not [line for line in lines(1) if "MaybeReshuffle" in line]
    assert [line for line in lines(1, 2) if "MaybeReshuffle" in line]
