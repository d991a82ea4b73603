"""Pieces that are written, beside what killed commands left."""

from crnn_gan.generation.pieces import Sampled, write_pieces
from pipelines.leftovers import HOST


def test_the_next_call_removes_what_a_killed_one_left(tmp_path):
    (tmp_path / f".x-7.mid.abcd.{HOST}.tmp").write_bytes(b"half")
    made = [Sampled(1, {".mid": b"whole"}, 1, 1.0)]
    (piece,) = write_pieces(lambda values: made, {}, tmp_path, "x")
    assert piece.path.read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["x-1.mid"]
