"""The pure parts of the benchmarks: what turns rounds into figures, and bytes into results."""

import pytest

from benchmarks.load import Tally, frame, frames
from benchmarks.offline import batches
from benchmarks.peers.counting import MARK, Counter, read
from benchmarks.stats import best, bucket_within, metrics, quantile, ratios, spread, summed
from benchmarks.workload import chunks_of, marked, sample_texts

METRICS = """\
# HELP lag_seconds Delay
lag_seconds_bucket{le="0.001"} 90.0
lag_seconds_bucket{le="0.005"} 99.0
lag_seconds_bucket{le="+Inf"} 100.0
steps_total{stage="sentiment"} 7.0
steps_total{stage="summary"} 2.0
"""


def test_a_spread_is_the_median_with_least_and_most():
    """Nothing is said of no values."""
    assert spread([3.0, 1.0, 2.0], 1) == "2.0 (1.0 to 3.0)"
    assert spread([], 1) == ""


def test_quantiles_stay_within_the_values():
    """Even at the far end."""
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 1.0) == 3.0


def test_ratios_are_taken_round_by_round():
    """And the best is best by its median, not by its luckiest round."""
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    assert best({"even": [2.0, 2.0, 2.0], "lucky once": [1.0, 1.0, 9.0]}) == "even"


def test_metrics_are_summed_by_label():
    """A name is a whole name."""
    samples = metrics(METRICS)
    assert summed(samples, "steps_total") == 9.0
    assert summed(samples, "steps_total", 'stage="sentiment"') == 7.0
    assert summed(samples, "steps") == 0.0


def test_a_histograms_quantile_counts_new_samples_alone():
    """What was counted before a round is not of the round."""
    now = metrics(METRICS)
    assert bucket_within({}, now, "lag_seconds", 0.99) == 0.005
    before = {'lag_seconds_bucket{le="0.005"}': 9.0, 'lag_seconds_bucket{le="+Inf"}': 10.0}
    assert bucket_within(before, now, "lag_seconds", 0.99) == 0.001


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_frames_are_read_however_they_are_cut(size):
    """A server's frame is a client's without the mask."""
    sent = frame(0x1, b"x" * size)
    at = len(sent) - size - 4
    stream = bytes([sent[0], sent[1] & 0x7F]) + sent[2:at] + sent[at + 4 :]
    buffer, found = bytearray(), []
    for cut in (stream[:1], stream[1:3], stream[3:], stream):
        buffer += cut
        found += frames(buffer)
    assert found == [(0x1, b"x" * size)] * 2
    assert not buffer


def test_a_rate_counts_results_within_the_window():
    """And latencies are those of jobs that began within it."""
    tally = Tally(begins=10.0, ends=12.0, chunks=8, jobs=[(9.5, 1.0, 2.0), (11.0, 3.0, 4.0)])
    assert tally.rate == 4.0
    assert tally.firsts == [3.0]
    assert tally.wholes == [4.0]


def test_jobs_longer_than_the_window_count_where_no_others_began():
    """So that a slow server has a latency at all."""
    assert Tally(begins=10.0, ends=12.0, jobs=[(9.5, 1.0, 2.0)]).firsts == [1.0]


def test_the_ideal_loop_leaves_no_chunk_out():
    """By rows or by padded tokens, the longest first."""
    lengths = [5, 1, 9, 9, 2]
    assert list(batches(lengths, "rows", 2)) == [[2, 3], [0, 4], [1]]
    assert list(batches(lengths, "tokens", 18)) == [[2, 3], [0, 4, 1]]


def test_texts_have_the_sizes_that_were_asked_for():
    """Sixteen of them, from the least to the most."""
    texts = sample_texts(400, 1000)
    assert len(texts) == 16
    assert (min(map(len, texts)), max(map(len, texts))) == (400, 1000)


def test_every_chunk_of_a_marked_text_is_marked():
    """Without changing its length."""
    text = sample_texts()[0]
    assert all(chunk.startswith(MARK) for chunk in chunks_of(marked(text)))
    assert len(marked(text)) == len(text)


def test_what_processes_count_is_summed(tmp_path):
    """One file a process; a marked chunk leaves its time."""
    Counter(str(tmp_path)).step(["a", MARK + "b"], 10, 12, 0)
    (tmp_path / "another").write_bytes(next(tmp_path.iterdir()).read_bytes())
    counts = read(tmp_path)
    assert (counts.steps, counts.chunks, counts.useful, counts.computed) == (2, 4, 20, 24)
    assert counts.marked == 2
    assert (counts - counts).chunks == 0
    assert (counts - counts).marked_ns == counts.marked_ns > 0
