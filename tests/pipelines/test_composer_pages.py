"""Tests of pipelines/sources/composer_pages.py and downloads/web_links.py, on loopback."""

import pytest
from loopback_server import file, serving, status
from small_midi import midi_bytes

from pipelines.composer_page_list import PAGES
from pipelines.downloads.web_links import is_midi, links_in, same_file
from pipelines.sources import composer_pages

# Links.


def music(page, address="http://host.org/bach/index.htm"):
    return list(links_in(page, address).music)


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("http://other.org/a.mid", "http://other.org/a.mid"),
        ("https://other.org/a.mid", "https://other.org/a.mid"),
        ("a.mid", "http://host.org/bach/a.mid"),
        ("../midi/a.mid", "http://host.org/midi/a.mid"),
        ("/a.mid", "http://host.org/a.mid"),
        ("//other.org/a.mid", "http://other.org/a.mid"),
        ("A.MID", "http://host.org/bach/A.MID"),
        ("a.Midi", "http://host.org/bach/a.Midi"),
        ("a.mid?x=1&amp;y=2", "http://host.org/bach/a.mid?x=1&y=2"),
        (" two\n words.mid ", "http://host.org/bach/two%20words.mid"),
        ("Caf%E9.mid#here", "http://host.org/bach/Caf%E9.mid"),
        ("sub\\a.mid", "http://host.org/bach/sub/a.mid"),
    ],
)
def test_links_are_made_whole(link, address):
    assert music(f"<A HREF='{link}'>x</A>") == [address]


@pytest.mark.parametrize(
    "link",
    [
        "",
        "a.htm",
        "a.mid.htm",
        "x?file=a.mid",
        "mailto:me@host.org",
        "javascript:play('a.mid')",
        "ftp://host.org/a.mid",
        "file:///etc/a.mid",
        "http://[::1/a.mid",
    ],
)
def test_what_is_no_midi_file_of_the_web_is_no_music(link):
    assert music(f"<a href='{link}'>x</a>") == []


def test_an_address_is_given_once_whether_http_or_https_in_the_order_of_the_page():
    page = "<a href=b.mid><a href=a.mid><a href='https://host.org/bach/b.mid'><area href=a.mid>"
    assert music(page) == ["http://host.org/bach/b.mid", "http://host.org/bach/a.mid"]
    assert same_file("HTTP://Host.org/A.mid") == same_file("https://host.org/A.mid")
    assert same_file("http://host.org/a.mid") != same_file("http://host.org/A.mid")


def test_broken_html_still_gives_its_links():
    page = "<html><body><a href='a.mid'<b>x<table><a href=\"b.mid\">y</a </td><!-- <a href=c.mid>"
    assert "http://host.org/bach/b.mid" in music(page)


def test_frames_refreshes_and_a_base_are_followed():
    links = links_in(
        "<base href='http://host.org/other/'><frame src=left.htm><IFRAME SRC='/top.htm'>"
        "<meta http-equiv=Refresh content='0; URL=new.htm'><embed src=a.mid>",
        "http://host.org/bach/index.htm",
    )
    assert links.music == ("http://host.org/other/a.mid",)
    assert links.frames == (
        "http://host.org/other/left.htm",
        "http://host.org/top.htm",
        "http://host.org/other/new.htm",
    )
    assert is_midi("http://x.org/a%2Emid")


# The pages.


def page(*links):
    return file("".join(f"<p><a href='{link}'>x</a>" for link in links).encode())


@pytest.fixture(name="server")
def server_on_loopback():
    with serving() as server:
        yield server


def source_of(server, tmp_path, *pages, **flags):
    """The source with other pages: (composer, path) each."""
    address = f"http://127.0.0.1:{server.server_port}"

    class Pages(composer_pages.Source):
        pages = ()

    Pages.pages = tuple((composer, address + path) for composer, path in pages)
    return Pages(cache_dir=str(tmp_path), pause_seconds=0.0, **flags)


def asked(server):
    return {path: len(requests) for path, requests in server.requests.items()}


def test_files_of_all_pages_come_with_their_composers(server, tmp_path, capsys):
    server.at("/bach.htm", page("fugue.MID", "midi/air.mid?from=page", "index.htm"))
    server.at("/haydn.htm", page("/haydn/quartet.mid"))
    server.at("/fugue.MID", file(midi_bytes(60)))
    server.at("/midi/air.mid?from=page", file(midi_bytes(62)))
    server.at("/haydn/quartet.mid", file(midi_bytes(64)))
    source = source_of(server, tmp_path, ("bach", "/bach.htm"), ("haydn", "/haydn.htm"))
    assert not source.is_present()
    source.fetch()
    assert source.is_present()
    pieces = source.pieces()
    assert [(p.composer, p.genre, p.title) for p in pieces] == [
        ("bach", "classical", "air"),
        ("bach", "classical", "fugue"),
        ("haydn", "classical", "quartet"),
    ]
    assert [source.read(piece).notes["pitch"].tolist() for piece in pieces] == [[62], [60], [64]]
    assert "3 files came, 0 were here before" in capsys.readouterr().err


def test_dead_pages_and_links_are_passed_over_and_reported(server, tmp_path, capsys):
    server.at("/bach.htm", page("gone.mid", "page.mid", "fugue.mid"))
    server.at("/page.mid", file(b"<html>sorry, we have moved</html>"))
    server.at("/fugue.mid", file(midi_bytes(60)))
    pages = (("alkan", "/alkan.htm"), ("bach", "/bach.htm"))
    source = source_of(server, tmp_path, *pages)
    source.fetch()
    assert [piece.title for piece in source.pieces()] == ["fugue"]
    lines = (source.home / "dead_links.tsv").read_text().splitlines()
    rows = {line.split("\t")[0].rsplit("/", 1)[1]: line.split("\t")[1:] for line in lines[1:]}
    assert lines[0] == "address\tcomposer\treason"
    assert set(rows) == {"alkan.htm", "gone.mid", "page.mid"}
    assert rows["alkan.htm"][0] == "alkan" and "404" in rows["gone.mid"][1]
    assert rows["page.mid"] == ["bach", "it sends something that is no MIDI file"]
    assert "3 addresses are dead, 3 of them found in this run" in capsys.readouterr().err
    # Again: nothing is asked for, until the file is deleted.
    before = asked(server)
    assert source.is_present()
    source.fetch()
    assert asked(server) == before
    assert "3 addresses are dead, 0 of them" in capsys.readouterr().err
    (source.home / "dead_links.tsv").unlink()
    assert not source.is_present()
    source.fetch()
    assert asked(server)["/gone.mid"] == before["/gone.mid"] + 1


def test_what_was_got_before_a_stop_is_not_asked_for_again(server, tmp_path):
    server.at("/bach.htm", page("one.mid", "two.mid"))
    server.at("/one.mid", file(midi_bytes(60)))
    server.at("/two.mid", file(midi_bytes(62)))
    source = source_of(server, tmp_path, ("bach", "/bach.htm"))
    source.fetch()
    (two,) = [piece for piece in source.pieces() if piece.title == "two"]
    (tmp_path / two.path).unlink()  # As if the run before had been stopped in front of it.
    assert not source.is_present()
    source.fetch()
    assert asked(server) == {"/bach.htm": 1, "/one.mid": 1, "/two.mid": 2}


def test_no_page_at_all_is_an_error_and_buries_nothing(server, tmp_path):
    source = source_of(server, tmp_path, ("bach", "/bach.htm"), ("haydn", "/haydn.htm"))
    with pytest.raises(OSError, match=r"none of the index pages could be read: .*404"):
        source.fetch()
    assert not (source.home / "dead_links.tsv").exists()
    with pytest.raises(ValueError, match=r"no file of composer_pages is in .*prepare gets them"):
        source.pieces()


def failing():
    """A server that is out of order, and asks to come back in 10,000 seconds."""
    return status(503, Retry_After="10000")


def rows_of(path):
    """{last part of the address: reason} of a list of addresses; {} where there is none."""
    lines = path.read_text().splitlines()[1:] if path.exists() else []
    return {line.split("\t")[0].rsplit("/", 1)[1]: line.split("\t")[2] for line in lines}


def test_a_host_that_fails_again_and_again_is_left_alone_until_the_next_run(
    server, tmp_path, capsys
):
    pages = [(f"composer{index:02d}", f"/{index:02d}.htm") for index in range(15)]
    server.at("/00.htm", page("one.mid"))
    for _, path in pages[1:]:
        server.at(path, failing())
    source = source_of(server, tmp_path, *pages)
    source.fetch()
    assert sum(asked(server).values()) == 1 + composer_pages.GIVEN_UP_AFTER
    failed = rows_of(source.home / "failed_links.tsv")
    assert len(failed) == 15 and "HTTP 503" in failed["01.htm"]
    left = [name for name, why in failed.items() if why.startswith("not asked for: 127.0.0.1")]
    assert left == ["11.htm", "12.htm", "13.htm", "14.htm", "one.mid"]
    assert rows_of(source.home / "dead_links.tsv") == {} and not source.is_present()
    assert "15 addresses failed (the last: not asked for" in capsys.readouterr().err
    # The server is mended: all come, and the list of failures goes.
    for index, (_, path) in enumerate(pages[1:], start=1):
        server.at(path, page(f"{index}.mid"))
        server.at(f"/{index}.mid", file(midi_bytes(60)))
    server.at("/one.mid", file(midi_bytes(60)))
    source.fetch()
    assert len(source.pieces()) == 15 and source.is_present()
    assert not (source.home / "failed_links.tsv").exists()


def test_files_that_cannot_be_reached_today_come_tomorrow(server, tmp_path):
    names = [f"{index}.mid" for index in range(40)]
    server.at("/bach.htm", page(*names))
    for name in names:
        server.at(f"/{name}", failing())
    source = source_of(server, tmp_path, ("bach", "/bach.htm"))
    source.fetch()
    assert sum(asked(server).values()) == 1 + composer_pages.GIVEN_UP_AFTER
    assert rows_of(source.home / "dead_links.tsv") == {}
    assert rows_of(source.home / "failed_links.tsv").keys() == set(names)
    for name in names:
        server.at(f"/{name}", file(midi_bytes(60)))
    source.fetch()
    assert len(source.pieces()) == 40 and asked(server)["/bach.htm"] == 1


@pytest.mark.parametrize("code", [403, 404, 410])
def test_many_refusals_are_no_failure_of_the_host(server, tmp_path, code):
    names = [f"{index}.mid" for index in range(15)]
    server.at("/bach.htm", page(*names))
    server.at("/haydn.htm", page("here.mid"))
    for name in names:
        server.at(f"/{name}", status(code))
    server.at("/here.mid", file(midi_bytes(60)))
    source = source_of(server, tmp_path, ("bach", "/bach.htm"), ("haydn", "/haydn.htm"))
    source.fetch()
    assert [piece.title for piece in source.pieces()] == ["here"]
    dead = rows_of(source.home / "dead_links.tsv")
    assert dead.keys() == set(names) and all(f"HTTP {code}" in why for why in dead.values())
    before = asked(server)
    source.fetch()
    assert asked(server) == before


def test_a_page_whose_frame_fails_is_read_again_in_the_next_run(server, tmp_path):
    frameset = file(b"<a href=one.mid>x</a><frame src=left.htm>")
    for name in ("bach", "haydn"):  # The second asks for no frame that failed before.
        server.at(f"/{name}.htm", frameset)
    server.at("/left.htm", failing())
    server.at("/one.mid", file(midi_bytes(60)))
    source = source_of(server, tmp_path, ("bach", "/bach.htm"), ("haydn", "/haydn.htm"))
    source.fetch()
    assert [piece.title for piece in source.pieces()] == ["one", "one"]
    assert not source.is_present() and asked(server)["/left.htm"] == 1
    server.at("/left.htm", page("two.mid"))
    server.at("/two.mid", file(midi_bytes(62)))
    source.fetch()
    assert [piece.title for piece in source.pieces()] == ["one", "two"] * 2
    assert source.is_present()


def test_frames_are_part_of_a_page_and_a_circle_of_them_ends(server, tmp_path):
    server.at("/bach.htm", file(b"<frameset><frame src=left.htm><frame src=gone.htm>"))
    server.at("/left.htm", file(b"<frame src=bach.htm><a href=one.mid>x</a>"))
    server.at("/one.mid", file(midi_bytes(60)))
    source = source_of(server, tmp_path, ("bach", "/bach.htm"))
    source.fetch()
    assert [piece.title for piece in source.pieces()] == ["one"]
    assert "gone.htm" in (source.home / "dead_links.tsv").read_text()


def test_composers_and_works_are_chosen_and_nothing_else_is_asked_for(server, tmp_path):
    for name in ("bach", "haydn"):
        server.at(f"/{name}.htm", page(*(f"{name}{index}.mid" for index in range(6))))
        for index in range(6):
            server.at(f"/{name}{index}.mid", file(midi_bytes(60 + index)))
    pages = (("bach", "/bach.htm"), ("haydn", "/haydn.htm"))
    few = source_of(server, tmp_path, *pages, composer=("bach",), works_per_composer=2)
    few.fetch()
    assert few.is_present() and sum(asked(server).values()) == 1 + 2
    chosen = {piece.key for piece in few.pieces()}
    more = source_of(server, tmp_path, *pages, works_per_composer=4)
    assert not more.is_present()
    more.fetch()
    assert len(more.pieces()) == 8 and chosen < {piece.key for piece in more.pieces()}
    assert {piece.key for piece in few.pieces()} == chosen


def test_a_dead_file_gives_its_place_to_another_work(server, tmp_path):
    server.at("/bach.htm", page(*(f"{index}.mid" for index in range(6))))
    for index in range(0, 6, 2):
        server.at(f"/{index}.mid", file(midi_bytes(60 + index)))
    source = source_of(server, tmp_path, ("bach", "/bach.htm"), works_per_composer=3)
    source.fetch()
    assert sorted(piece.title for piece in source.pieces()) == ["0", "2", "4"]
    assert source.is_present()


def test_a_folder_of_composers_got_by_hand_is_taken(tmp_path):
    for composer in ("bach", "haydn"):
        (tmp_path / "classical" / composer).mkdir(parents=True)
        (tmp_path / "classical" / composer / "one.mid").write_bytes(midi_bytes(60))
    source = composer_pages.Source(path=str(tmp_path), composer=("haydn",))
    source.fetch()
    (piece,) = source.pieces()
    assert (piece.key, piece.composer) == ("haydn/one.mid", "haydn")


def test_the_pages_are_those_of_the_original():
    assert len(PAGES) == 171 and len({composer for composer, _ in PAGES}) == 154
    assert sum("classicalmidi.co.uk" in page for _, page in PAGES) == 154
    assert dict(PAGES)["nikolaievich"] == "http://www.classicalmidi.co.uk/scab.htm"
    with pytest.raises(ValueError, match=r"no page of bahc; --composer takes all, or .*bach"):
        composer_pages.Source(composer=("bahc",))
    with pytest.raises(ValueError, match="works_per_composer is 0"):
        composer_pages.Source(works_per_composer=0)


def test_the_pause_and_the_place_decide_nothing():
    source = composer_pages.Source(path="x", cache_dir="y", pause_seconds=3.0)
    assert source.flags() == {"composer": ["all"], "works_per_composer": None}
