"""Tests of pipelines/downloads/download.py and what it is made of, against a real server."""

import contextlib
import email.utils
import hashlib
import json
import os
import random
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import loopback_server
import pytest
from loopback_server import file, first_then, status

from pipelines import file_lock
from pipelines.downloads import byte_progress, download, http_answers, partial_file
from pipelines.downloads.download import fetch
from pipelines.downloads.known_file import Download, DownloadError
from pipelines.downloads.web_pages import fetch_bytes, fetch_text

CONTENT = random.Random(1).randbytes(1_000_003)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGE = b"<!DOCTYPE html><html><body>Sorry, try again later.</body></html>"


@pytest.fixture(name="server")
def loopback(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with loopback_server.serving() as server:
        yield server


@pytest.fixture(name="waits")
def seconds_waited():
    return []


@pytest.fixture(name="get")
def fetch_without_waiting(tmp_path, waits):
    """Fetches addresses to x.zip; the waits are written down, not waited."""

    def get(*urls, sha256=SHA256, size_bytes=None, **options):
        wanted = Download(urls, sha256, size_bytes)
        return fetch(wanted, tmp_path / "x.zip", wait=waits.append, **options)

    return get


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def leave_part(folder, url, content, etag='"1"'):
    """Leaves what a killed download leaves."""
    (folder / "x.zip.part").write_bytes(content)
    note = {"address": url, "validator": etag, "total": len(CONTENT)}
    note["kept_bytes"] = len(content)
    note["kept_sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "x.zip.part.json").write_text(json.dumps(note))


# What is asked of it.


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"urls": ()}, "needs an address"),
        ({"urls": ("ftp://a/b",)}, "neither http:// nor https://"),
        ({"urls": ("http://a/b",), "sha256": "12"}, "64 digits"),
    ],
)
def test_a_download_that_makes_no_sense_is_refused_when_it_is_written(facts, said):
    with pytest.raises(ValueError, match=said):
        Download(**facts)


# Where nothing goes wrong.


def test_a_file_comes_whole_and_nothing_is_left_beside_it(server, get, tmp_path):
    path = get(server.at("/x", file(CONTENT)))
    assert path == tmp_path / "x.zip" and path.read_bytes() == CONTENT
    assert names(tmp_path) == ["x.zip"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_a_file_that_is_there_is_taken_without_a_request(server, get):
    url = server.at("/x", file(CONTENT))
    assert get(url) == get(url)
    assert len(server.requests["/x"]) == 1


def test_missing_folders_are_made(server, tmp_path):
    path = tmp_path / "a" / "b" / "x.zip"
    assert fetch(Download((server.at("/x", file(CONTENT)),), SHA256), path) == path


def test_an_empty_file_is_a_file(server, tmp_path):
    wanted = Download((server.at("/x", file(b"")),), hashlib.sha256(b"").hexdigest())
    assert fetch(wanted, tmp_path / "x").read_bytes() == b""
    assert names(tmp_path) == ["x"]


def test_the_request_asks_for_the_file_as_it_is(server, get):
    get(server.at("/x", file(CONTENT)))
    assert server.requests["/x"][0]["Accept-Encoding"] == "identity"


def test_redirects_are_followed(server, get):
    server.at("/x", file(CONTENT))
    path = get(server.at("/old", status(302, Location="/x")))
    assert path.read_bytes() == CONTENT


def test_a_redirect_in_a_circle_is_refused_at_once(server, get, waits):
    with pytest.raises(DownloadError, match="TooManyRedirects"):
        get(server.at("/x", status(302, Location="/x")))
    assert not waits


def test_a_redirect_away_from_the_web_is_refused(server, get):
    with pytest.raises(DownloadError, match="file:///etc/passwd"):
        get(server.at("/x", status(302, Location="file:///etc/passwd")))


# Connections that break.


@pytest.mark.parametrize("cut_bytes", [70_000, 65_536, 333_333, 1_000_002])
def test_a_download_that_is_cut_again_and_again_goes_on_where_it_stopped(
    server, get, waits, cut_bytes
):
    assert get(server.at("/x", file(CONTENT, cut_bytes=cut_bytes))).read_bytes() == CONTENT
    assert server.sent["/x"] == len(CONTENT)
    requests = server.requests["/x"]
    assert len(requests) == -(-len(CONTENT) // cut_bytes) == len(waits) + 1
    assert requests[1]["Range"] == f"bytes={cut_bytes}-" and requests[1]["If-Range"] == '"1"'


def test_a_server_that_cuts_every_100_bytes_loses_none_of_them(server, get, tmp_path):
    content = CONTENT[:1234]
    url = server.at("/x", file(content, cut_bytes=100))
    get(url, sha256=hashlib.sha256(content).hexdigest())
    assert server.sent["/x"] == 1234


def test_a_date_does_where_there_is_no_etag(server, get):
    date = "Sat, 01 Jan 2022 00:00:00 GMT"

    def respond(request, number):
        first = request.asked_from(date)
        place = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"
        head = {"Last_Modified": date, "Content_Length": len(CONTENT) - first}
        request.head(206 if first else 200, **head, **({"Content_Range": place} if first else {}))
        request.body(CONTENT[first : first + 600_000])

    get(server.at("/x", respond), sha256="")
    assert server.requests["/x"][1]["If-Range"] == date
    assert server.sent["/x"] == len(CONTENT)


def test_a_weak_etag_is_not_trusted_to_join_two_answers(server, get):
    weak = file(CONTENT, etag='W/"1"', cut_bytes=600_000)
    get(server.at("/x", first_then(1, weak, file(CONTENT, etag='W/"1"'))), sha256="")
    assert "Range" not in server.requests["/x"][1]


def test_without_a_version_the_published_checksum_lets_it_go_on(server, get):
    get(server.at("/x", file(CONTENT, etag="", cut_bytes=600_000)))
    assert server.sent["/x"] == len(CONTENT)
    assert "If-Range" not in server.requests["/x"][1]


def test_a_file_that_changes_between_two_answers_begins_again(server, get, capsys):
    old = file(b"o" * len(CONTENT), etag='"0"', cut_bytes=300_000)
    assert get(server.at("/x", first_then(1, old, file(CONTENT))), sha256="").read_bytes() == (
        CONTENT
    )
    assert "from the first byte again" in capsys.readouterr().err


def test_a_changed_file_of_a_server_that_ignores_if_range_begins_again(server, get):
    old = file(b"o" * len(CONTENT), etag='"0"', cut_bytes=300_000)

    def careless(request, number):
        del request.headers["If-Range"]
        file(CONTENT)(request, number)

    path = get(server.at("/x", first_then(1, old, careless)), sha256="")
    assert path.read_bytes() == CONTENT
    assert len(server.requests["/x"]) == 3 and "Range" not in server.requests["/x"][2]


def test_a_server_without_ranges_begins_again(server, get):
    cut = file(CONTENT, has_ranges=False, cut_bytes=300_000)
    url = server.at("/x", first_then(2, cut, file(CONTENT, has_ranges=False)))
    assert get(url).read_bytes() == CONTENT
    assert len(server.requests["/x"]) == 3


def test_a_server_without_ranges_that_always_cuts_is_given_up(server, get, waits, tmp_path):
    with pytest.raises(DownloadError, match=r"broke off .*, 6 times in a row"):
        get(server.at("/x", file(CONTENT, has_ranges=False, cut_bytes=300_000)))
    assert len(server.requests["/x"]) == http_answers.TRIES
    assert names(tmp_path) == ["x.zip.part", "x.zip.part.json"]


@pytest.mark.parametrize(
    "place",
    ["bytes 5-1000002/1000003", "bytes 300000-1000002/2000000", "bytes 300000-*/*", "nonsense"],
)
def test_a_part_that_is_not_the_rest_is_not_taken(server, get, place):
    cut = file(CONTENT, cut_bytes=300_000)

    def wrong_part(request, number):
        if "Range" not in request.headers:
            return file(CONTENT)(request, number)
        request.head(206, Content_Length=700_003, Content_Range=place, ETag='"1"')
        return request.body(CONTENT[:700_003])

    path = get(server.at("/x", first_then(1, cut, wrong_part)), sha256="")
    assert path.read_bytes() == CONTENT
    assert len(server.requests["/x"]) == 3


def test_a_part_of_other_bytes_than_it_says_is_found_by_the_checksum(server, get, capsys):
    cut = file(CONTENT, cut_bytes=300_000)

    def liar(request, number):
        if "Range" not in request.headers:
            return file(CONTENT)(request, number)
        place = "bytes 300000-1000002/1000003"
        request.head(206, Content_Length=700_003, Content_Range=place, ETag='"1"')
        return request.body(bytes(700_003))

    assert get(server.at("/x", first_then(1, cut, liar))).read_bytes() == CONTENT
    assert "from the first byte again" in capsys.readouterr().err


def test_a_part_where_all_was_asked_for_is_refused(server, get):
    url = server.at("/x", status(206, b"abc", Content_Range="bytes 0-2/9"))
    with pytest.raises(DownloadError, match="bytes 0-2/9"):
        get(url)


def test_a_server_that_gives_the_rest_in_slices_is_asked_until_all_is_there(server, get):
    cut = file(CONTENT, cut_bytes=300_000)

    def slices(request, number):
        first = request.asked_from('"1"')
        last = min(first + 250_000, len(CONTENT))
        place = f"bytes {first}-{last - 1}/{len(CONTENT)}"
        request.head(206, Content_Length=last - first, Content_Range=place, ETag='"1"')
        request.body(CONTENT[first:last])

    assert get(server.at("/x", first_then(1, cut, slices)), sha256="").read_bytes() == CONTENT
    assert server.sent["/x"] == len(CONTENT) and len(server.requests["/x"]) == 4


def test_what_came_is_on_the_disk_before_the_wait(server, tmp_path):
    """A kill during the wait costs nothing."""
    note, kept = tmp_path / "x.zip.part.json", []
    url = server.at("/x", file(CONTENT, cut_bytes=400_000))

    def wait(_):
        kept.append(json.loads(note.read_bytes())["kept_bytes"])

    fetch(Download((url,), SHA256), tmp_path / "x.zip", wait=wait)
    assert kept == [400_000, 800_000]


def test_a_server_that_stops_sending_is_left_and_asked_again(server, get, monkeypatch, capsys):
    monkeypatch.setattr(http_answers, "STALL_SECONDS", 0.2)

    def stalls(request, number):
        request.head(200, Content_Length=len(CONTENT), ETag='"1"')
        request.body(CONTENT[:300_000])
        request.connection.settimeout(10.0)
        request.rfile.read(1)  # Until the client goes.

    assert get(server.at("/x", first_then(1, stalls, file(CONTENT)))).read_bytes() == CONTENT
    assert "stopped sending" in capsys.readouterr().err
    assert server.sent["/x"] == len(CONTENT)


def test_a_server_that_never_answers_is_given_up(server, get, monkeypatch):
    monkeypatch.setattr(http_answers, "STALL_SECONDS", 0.05)

    def silent(request, number):
        request.connection.settimeout(10.0)
        request.rfile.read(1)

    with pytest.raises(DownloadError, match="does not answer, 6 times in a row"):
        get(server.at("/x", silent))


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 20", b"\0" * 70_000])
def test_an_answer_that_is_no_http_is_given_up(server, get, answer):
    def respond(request, number):
        request.wfile.write(answer)

    with pytest.raises(DownloadError, match="broke off"):
        get(server.at("/x", respond))


def test_an_address_without_a_server_is_given_up_sooner(server, get, waits):
    server.server_close()
    with pytest.raises(DownloadError, match=r"cannot be reached .* 3 times in a row"):
        get(f"http://127.0.0.1:{server.server_port}/x")
    assert len(waits) == http_answers.UNREACHABLE_TRIES - 1


def test_a_server_without_a_certificate_is_refused_at_once(server, get, waits):
    with pytest.raises(DownloadError, match="no secure connection"):
        get(server.at("/x", file(CONTENT)).replace("http:", "https:"))
    assert not waits


@pytest.fixture(name="secure_server")
def loopback_with_a_certificate(server, tmp_path_factory, monkeypatch):
    """The same server once more, by https, with a certificate that only this test trusts."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("makes a certificate with the program openssl, which is not here")
    folder = tmp_path_factory.mktemp("tls")
    names = ["-keyout", "key", "-out", "certificate", "-subj", "/CN=test"]
    command = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "certificate"))
    with loopback_server.serving() as secure:
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        yield secure


def test_https_is_taken_and_may_not_lead_to_http_unless_a_checksum_guards_it(
    server, secure_server, get, tmp_path
):
    secure = secure_server.at("/x", file(CONTENT)).replace("http:", "https:")
    assert get(secure, sha256="").read_bytes() == CONTENT
    (tmp_path / "x.zip").unlink()
    (tmp_path / "x.zip.json").unlink()
    secure_server.at("/x", status(302, Location=server.at("/plain", file(CONTENT))))
    with pytest.raises(DownloadError, match="leads from https to http"):
        get(secure, sha256="")
    assert get(secure).read_bytes() == CONTENT


# Servers that say no.


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 451])
def test_a_dead_address_is_named_at_once(server, get, waits, tmp_path, code):
    url = server.at("/x", status(code))
    with pytest.raises(DownloadError) as caught:
        get(url)
    text = str(caught.value)
    assert f"{url}: HTTP {code}" in text and f"put it at {tmp_path / 'x.zip'}" in text
    assert SHA256 in text
    assert len(server.requests["/x"]) == 1 and not waits and not names(tmp_path)


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_fault_is_waited_out(server, get, waits, code):
    get(server.at("/x", first_then(3, status(code), file(CONTENT))))
    assert len(waits) == 3
    # 1, 2 and 4 seconds, each shortened by up to a half so that clients do not come together.
    assert all(s / 2 <= wait <= s for wait, s in zip(waits, (1, 2, 4), strict=True))


def test_no_wait_grows_beyond_a_minute():
    interruption = http_answers.Interrupted("busy")
    assert 30 <= http_answers._wait_seconds(interruption, 40) <= 60


def test_retry_after_in_seconds_is_waited(server, get, waits):
    get(server.at("/x", first_then(2, status(503, Retry_After="7"), file(CONTENT))))
    assert waits == [7, 7]


def test_retry_after_as_a_date_is_waited_by_the_clock_of_the_server(server, get, waits):
    def respond(request, number):
        request.send_response_only(429)
        request.send_header("Date", "Sat, 01 Jan 2022 00:00:00 GMT")
        request.send_header("Retry-After", "Sat, 01 Jan 2022 00:01:30 GMT")
        request.send_header("Content-Length", "0")
        request.send_header("Connection", "close")
        request.end_headers()

    get(server.at("/x", first_then(1, respond, file(CONTENT))))
    assert waits == [90]


def test_retry_after_reads_both_forms_and_nothing_else():
    seconds = http_answers.retry_after_seconds
    assert seconds({"Retry-After": " 12 "}) == 12
    assert seconds({}) is None and seconds({"Retry-After": "soon"}) is None
    assert seconds({"Retry-After": "-5"}) is None and seconds({"Retry-After": "²"}) is None
    assert seconds({"Retry-After": "Sat, 01 Jan 2000 00:00:00 GMT"}) == 0
    in_a_minute = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert 50 < seconds({"Retry-After": in_a_minute}) <= 60


def test_a_server_that_asks_for_hours_is_left_for_its_mirror(server, get, waits, tmp_path):
    busy = server.at("/busy", status(503, Retry_After="7200"))
    get(busy, server.at("/x", file(CONTENT)))
    assert not waits and len(server.requests["/busy"]) == 1
    server.at("/x", status(404))
    (tmp_path / "x.zip").unlink()
    with pytest.raises(DownloadError, match="asks to come back in 7200 s"):
        get(busy)


def test_a_server_that_fails_for_ever_is_given_up(server, get, waits):
    with pytest.raises(DownloadError, match=r"HTTP 500 .*, 6 times in a row"):
        get(server.at("/x", status(500)))
    assert len(server.requests["/x"]) == http_answers.TRIES == len(waits) + 1


# Mirrors.


def test_mirrors_are_tried_in_turn_and_each_has_its_own_reason(server, get):
    urls = (
        server.at("/gone", status(404)),
        server.at("/page", status(200, PAGE)),
        server.at("/other", file(CONTENT[:-1] + b"!")),
        server.at("/short", file(CONTENT[:-1])),
    )
    with pytest.raises(DownloadError) as caught:
        get(*urls, size_bytes=len(CONTENT))
    lines = str(caught.value).splitlines()
    assert lines[0] == "cannot download x.zip:"
    assert lines[1] == f"  {urls[0]}: HTTP 404 Not Found"
    assert lines[2] == f"  {urls[1]}: it has {len(PAGE)} bytes, 1000003 were expected"
    assert lines[3].startswith(f"  {urls[2]}: what it sends has the SHA-256 ")
    assert lines[4] == f"  {urls[3]}: it has 1000002 bytes, 1000003 were expected"
    assert lines[5].startswith("try again later, or get it by hand")


def test_the_right_size_with_wrong_bytes_goes_to_the_mirror_once(server, get, tmp_path):
    wrong = server.at("/wrong", file(CONTENT[:-1] + b"!"))
    path = get(wrong, server.at("/x", file(CONTENT)), size_bytes=len(CONTENT))
    assert path.read_bytes() == CONTENT and names(tmp_path) == ["x.zip"]
    assert len(server.requests["/wrong"]) == len(server.requests["/x"]) == 1


def test_a_wrong_size_is_seen_before_the_body_is_read(server, get, tmp_path):
    def endless(request, number):
        request.head(200, Content_Length=10**12)
        while True:
            request.body(bytes(1 << 16))

    path = get(server.at("/big", endless), server.at("/x", file(CONTENT)), size_bytes=len(CONTENT))
    assert path.read_bytes() == CONTENT


def test_the_address_that_gave_a_part_is_asked_first_for_the_rest(server, get, tmp_path):
    first, second = server.at("/1", file(CONTENT)), server.at("/2", file(CONTENT))
    leave_part(tmp_path, second, CONTENT[:900_000])
    get(first, second)
    assert server.sent == {"/2": 100_003}


def test_a_part_of_one_address_is_not_joined_to_the_rest_of_another(server, get, tmp_path):
    leave_part(tmp_path, server.at("/2", status(404)), b"o" * 900_000)
    path = get(server.at("/1", file(CONTENT)), server.at("/2", status(404)), sha256="")
    assert path.read_bytes() == CONTENT


# Answers that are something else.


def test_a_web_page_instead_of_the_file_is_called_that(server, get):
    with pytest.raises(DownloadError, match="sends a web page instead of the file"):
        get(server.at("/x", status(200, PAGE)))
    with pytest.raises(DownloadError, match="sends a web page instead of the file"):
        get(server.at("/x", status(200, PAGE)), sha256="")


def test_a_web_page_that_was_asked_for_is_a_file(server, tmp_path):
    wanted = Download((server.at("/x", status(200, PAGE)),))
    assert fetch(wanted, tmp_path / "x.html").read_bytes() == PAGE


def test_a_file_that_is_shorter_than_published_is_not_taken(server, get, tmp_path):
    """Cut at its server, which gives it with the length it has there."""
    with pytest.raises(DownloadError, match="it has 500000 bytes, 1000003 were expected"):
        get(server.at("/x", file(CONTENT[:500_000])), sha256="", size_bytes=len(CONTENT))
    assert not names(tmp_path)


def chunked(content, is_ended=True):
    def respond(request, number):
        request.head(200, Transfer_Encoding="chunked")
        for first in range(0, len(content), 200_000):
            chunk = content[first : first + 200_000]
            request.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        request.wfile.write(b"0\r\n\r\n" if is_ended else b"")

    return respond


def test_a_file_without_a_stated_length_comes_in_chunks(server, get):
    assert get(server.at("/x", chunked(CONTENT)), sha256="").read_bytes() == CONTENT


def test_chunks_without_their_end_are_not_taken_for_whole(server, get):
    url = server.at("/x", first_then(2, chunked(CONTENT[:400_000], False), chunked(CONTENT)))
    assert get(url, sha256="").read_bytes() == CONTENT
    assert len(server.requests["/x"]) == 3


def until_closed(content):
    def respond(request, number):
        request.head(200)
        request.body(content)

    return respond


def test_a_body_that_ends_with_the_connection_needs_a_checksum_or_a_size(server, get, tmp_path):
    with pytest.raises(DownloadError, match="does not say how long the file is"):
        get(server.at("/x", until_closed(CONTENT[:-1])), sha256="")
    url = server.at("/y", first_then(1, until_closed(CONTENT[:-1]), until_closed(CONTENT)))
    assert get(url, sha256="", size_bytes=len(CONTENT)).read_bytes() == CONTENT
    assert len(server.requests["/y"]) == 2


@pytest.mark.parametrize("respond", [file(CONTENT), chunked(CONTENT), until_closed(CONTENT)])
def test_more_than_the_most_is_not_taken(server, get, respond, tmp_path):
    with pytest.raises(DownloadError, match=r"0\.9 MB"):
        get(server.at("/x", respond), largest_bytes=900_000)
    assert "x.zip" not in names(tmp_path)


def test_a_packed_answer_is_not_stored_as_if_it_were_the_file(server, get):
    url = server.at("/x", status(200, b"\x1f\x8b", Content_Encoding="gzip"))
    with pytest.raises(DownloadError, match="packed as gzip"):
        get(url, sha256="")


def test_a_packed_file_whose_server_calls_its_packing_an_encoding_is_taken_as_it_is(server, get):
    url = server.at("/x", status(200, CONTENT, Content_Encoding="gzip"))
    assert get(url).read_bytes() == CONTENT


# What lies there from before.


def test_a_damaged_file_is_got_again_and_that_is_said(server, get, tmp_path, capsys):
    (tmp_path / "x.zip").write_bytes(CONTENT[:-1] + b"!")
    assert get(server.at("/x", file(CONTENT))).read_bytes() == CONTENT
    assert "is there, but has the SHA-256" in capsys.readouterr().err


def test_a_damaged_file_stays_where_no_better_one_comes(server, get, tmp_path):
    (tmp_path / "x.zip").write_bytes(b"mine")
    with pytest.raises(DownloadError):
        get(server.at("/x", status(404)))
    assert (tmp_path / "x.zip").read_bytes() == b"mine"


def test_a_folder_in_the_place_of_the_file_is_left_alone(server, get, tmp_path):
    (tmp_path / "x.zip").mkdir()
    with pytest.raises(DownloadError, match="is no file"):
        get(server.at("/x", file(CONTENT)))


def test_a_part_that_is_all_is_taken_without_a_request(server, get, tmp_path):
    url = server.at("/x", file(CONTENT))
    for sha256 in (SHA256, ""):
        leave_part(tmp_path, url, CONTENT)
        assert get(url, sha256=sha256).read_bytes() == CONTENT
        (tmp_path / "x.zip").unlink()
        with contextlib.suppress(FileNotFoundError):
            (tmp_path / "x.zip.json").unlink()
    assert not server.requests["/x"]


def damage_a_byte(part):
    content = bytearray(part.read_bytes())
    content[1000] ^= 1
    part.write_bytes(content)


@pytest.mark.parametrize("sha256", [SHA256, ""])
@pytest.mark.parametrize("damage", [damage_a_byte, lambda part: part.write_bytes(b"")])
def test_a_damaged_part_is_not_built_on(server, get, tmp_path, capsys, damage, sha256):
    url = server.at("/x", file(CONTENT))
    leave_part(tmp_path, url, CONTENT[:900_000])
    damage(tmp_path / "x.zip.part")
    assert get(url, sha256=sha256).read_bytes() == CONTENT
    assert "Range" not in server.requests["/x"][0]
    assert "what an earlier run left is damaged" in capsys.readouterr().err


def test_what_was_written_after_the_note_is_not_trusted(server, get, tmp_path):
    """After a power cut the file may be longer than what reached the disk, in zeros."""
    url = server.at("/x", file(CONTENT))
    leave_part(tmp_path, url, CONTENT[:400_000])
    with (tmp_path / "x.zip.part").open("ab") as part:
        part.write(bytes(200_000))
    assert get(url, sha256="").read_bytes() == CONTENT
    assert server.requests["/x"][0]["Range"] == "bytes=400000-"


@pytest.mark.parametrize("note", [b"", b"[]", b"{}", b"\xff", b'{"address": 3, "kept_bytes": "x"}'])
def test_a_part_without_a_readable_note_is_begun_again(server, get, tmp_path, note):
    (tmp_path / "x.zip.part").write_bytes(CONTENT[:900_000])
    (tmp_path / "x.zip.part.json").write_bytes(note)
    assert get(server.at("/x", file(CONTENT)), sha256="").read_bytes() == CONTENT
    assert server.sent["/x"] == len(CONTENT)


# Where nobody publishes a checksum.


def test_the_first_download_is_written_down_and_later_ones_have_to_be_equal(
    server, get, tmp_path, capsys
):
    url = server.at("/x", file(CONTENT))
    get(url, sha256="")
    assert "nobody publishes its checksum" in capsys.readouterr().err
    assert json.loads((tmp_path / "x.zip.json").read_bytes()) == {
        "address": url,
        "validator": '"1"',
        "size_bytes": len(CONTENT),
        "sha256": SHA256,
    }
    get(url, sha256="")
    assert len(server.requests["/x"]) == 1
    (tmp_path / "x.zip").write_bytes(b"damaged")
    assert get(url, sha256="").read_bytes() == CONTENT
    (tmp_path / "x.zip").unlink()
    server.at("/x", file(CONTENT[:-1] + b"!"))
    with pytest.raises(DownloadError, match=r"of the first download.*delete .*x\.zip\.json"):
        get(url, sha256="")
    (tmp_path / "x.zip.json").unlink()
    assert get(url, sha256="").read_bytes() == CONTENT[:-1] + b"!"


def test_a_file_put_there_by_hand_is_taken_and_written_down(server, get, tmp_path):
    (tmp_path / "x.zip").write_bytes(CONTENT)
    url = server.at("/x", status(404))
    assert get(url, sha256="", size_bytes=len(CONTENT)).read_bytes() == CONTENT
    record = json.loads((tmp_path / "x.zip.json").read_bytes())
    assert record["sha256"] == SHA256 and record["address"] == "found here, not downloaded"
    (tmp_path / "x.zip.json").unlink()
    with pytest.raises(DownloadError, match="404"):
        get(url, sha256="", size_bytes=5)


@pytest.mark.parametrize("record", [b"", b"{}", b"3", b'{"sha256": "x", "size_bytes": 1}'])
def test_a_damaged_record_is_not_silently_trusted_anew(server, get, tmp_path, record):
    (tmp_path / "x.zip.json").write_bytes(record)
    with pytest.raises(DownloadError, match=r"x\.zip\.json.* is damaged; delete it"):
        get(server.at("/x", file(CONTENT)), sha256="")


# Processes: killed, several, and on full disks.

CALL = """
import encodings.idna, os, resource, sys
from pathlib import Path
from pipelines.downloads import download, partial_file
partial_file.KEEP_SECONDS = 0.02
url, path, sha256, limit = sys.argv[1:]
if limit == "nobody":
    os.setuid(65534)
elif limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    download.fetch(download.Download((url,), sha256), Path(path))
except download.DownloadError as error:
    sys.exit(str(error))
"""


def start(url, path, sha256=SHA256, limit=""):
    """Calls `fetch` in a process of its own."""
    command = [sys.executable, "-c", CALL, url, str(path), sha256, limit]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=root)


def end(process):
    """Waits for a process and gives what it said."""
    _, said = process.communicate(timeout=60)
    return said


@pytest.mark.parametrize("sha256", [SHA256, ""])
def test_kill_9_costs_little_and_leaves_a_whole_file_in_the_end(server, tmp_path, sha256):
    url, path = server.at("/x", file(CONTENT, pause_seconds=0.03)), tmp_path / "x.zip"
    for kills in range(1, 4):
        process, aim = start(url, path, sha256), kills * len(CONTENT) // 4
        while process.poll() is None and server.sent["/x"] < aim:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        end(process)
        assert process.returncode == -signal.SIGKILL and not path.exists()
    process = start(url, path, sha256)
    end(process)
    assert process.returncode == 0 and path.read_bytes() == CONTENT
    assert server.sent["/x"] < 2 * len(CONTENT)
    assert len(server.requests["/x"]) == 4 and "Range" in server.requests["/x"][3]
    assert names(tmp_path) == (["x.zip"] if sha256 else ["x.zip", "x.zip.json"])


def test_a_lock_lets_one_in_at_a_time_and_leaves_nothing(tmp_path):
    inside, most, rounds = [], [], 40

    def work():
        for _ in range(rounds):
            with file_lock.locked(tmp_path / "x"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * len(threads) * rounds and not names(tmp_path)


def test_four_processes_at_once_get_it_once(server, tmp_path):
    url = server.at("/x", file(CONTENT, pause_seconds=0.03))
    processes = [start(url, tmp_path / "x.zip") for _ in range(4)]
    said = [end(process) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert (tmp_path / "x.zip").read_bytes() == CONTENT
    assert server.sent["/x"] == len(CONTENT) and names(tmp_path) == ["x.zip"]


def test_a_disk_that_fills_up_keeps_what_came_for_another_time(server, tmp_path):
    url, path = server.at("/x", file(CONTENT)), tmp_path / "x.zip"
    process = start(url, path, limit="400000")
    said = end(process)
    assert process.returncode == 1 and f"no room for x.zip in {tmp_path}" in said
    assert names(tmp_path) == ["x.zip.part", "x.zip.part.json"]
    assert fetch(Download((url,), SHA256), path).read_bytes() == CONTENT
    assert server.requests["/x"][1]["Range"] == "bytes=400000-"


def test_a_disk_that_is_too_small_is_told_before_the_first_byte(server, get, tmp_path):
    url = server.at("/x", status(200, Content_Length=10**15))
    with pytest.raises(DownloadError, match=r"needs 1000000000\.0 MB more in .*make room"):
        get(url, largest_bytes=10**16)
    assert not names(tmp_path)


def test_a_folder_that_may_not_be_written_is_named(server):
    """Root may write everywhere, so that the process becomes somebody else."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "read_only"
        folder.mkdir(mode=0o555)
        Path(parent).chmod(0o755)
        limit = "nobody" if os.geteuid() == 0 else ""
        process = start(server.at("/x", file(CONTENT)), folder / "x.zip", limit=limit)
        said = end(process)
    assert process.returncode == 1
    assert f"cannot write {folder / 'x.zip'} (Permission denied); give a folder" in said


def test_a_file_that_is_there_is_taken_from_a_folder_that_may_not_be_written(server):
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        folder = Path(parent) / "read_only"
        folder.mkdir()
        (folder / "x.zip").write_bytes(CONTENT)
        folder.chmod(0o555)
        limit = "nobody" if os.geteuid() == 0 else ""
        process = start(server.at("/x", file(CONTENT)), folder / "x.zip", limit=limit)
        assert (end(process), process.returncode) == ("", 0)
        folder.chmod(0o755)
    assert not server.requests["/x"]


def test_a_file_in_the_place_of_the_folder_is_named(server, tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(DownloadError, match=r"cannot write .*a/x\.zip"):
        fetch(Download((server.at("/x", file(CONTENT)),), SHA256), tmp_path / "a" / "x.zip")


def test_a_stop_from_the_keyboard_keeps_what_came(server, get, tmp_path):
    url = server.at("/x", file(CONTENT, cut_bytes=700_000))

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(Download((url,), SHA256), tmp_path / "x.zip", wait=stop)
    assert (tmp_path / "x.zip.part").stat().st_size == 700_000
    get(url)
    assert server.sent["/x"] == len(CONTENT)


# Pages.


def test_a_page_is_decoded_as_it_says_or_as_utf_8_or_as_latin_1(server):
    def page(content, kind):
        return fetch_text(server.at("/x", status(200, content, Content_Type=kind)))

    assert page("Dvořák".encode(), "text/html") == "Dvořák"
    assert page("Dvořák".encode("iso8859-2"), "text/html; charset=iso-8859-2") == "Dvořák"
    assert page("Fauré".encode("latin-1"), "text/html") == "Fauré"
    assert page("Fauré".encode("latin-1"), "text/html; charset=nonsense") == "Fauré"


def test_a_page_is_asked_for_again_when_it_breaks_off(server, waits):
    url = server.at("/x", first_then(2, file(PAGE, cut_bytes=20), file(PAGE)))
    assert fetch_text(url, wait=waits.append) == PAGE.decode()
    assert len(waits) == 2


def test_a_page_that_is_dead_or_too_long_is_named(server, waits):
    with pytest.raises(DownloadError, match=r"cannot read http.*/gone: HTTP 404"):
        fetch_text(server.at("/gone", status(404)), wait=waits.append)
    with pytest.raises(DownloadError, match="longer than 50 bytes"):
        fetch_text(server.at("/x", file(PAGE)), 50, wait=waits.append)
    with pytest.raises(ValueError, match="neither http"):
        fetch_text("file:///etc/passwd")
    assert not waits


def test_a_small_file_comes_whole_or_not_at_all(server, waits):
    cut = server.at("/x", first_then(2, file(CONTENT, cut_bytes=500), file(CONTENT)))
    assert fetch_bytes(cut, wait=waits.append) == CONTENT
    with pytest.raises(DownloadError, match="does not say how long the file is"):
        fetch_bytes(server.at("/y", until_closed(CONTENT[:500])), wait=waits.append)


# Progress.


def test_a_line_of_progress_has_amount_share_speed_and_time_left():
    line = byte_progress.described("x.zip", 12_300_000, 61_500_000, 6_000_000, 2.0)
    assert line == "x.zip: 12.3 of 61.5 MB (20%), 3.0 MB/s, 16 s left"  # 49.2 MB at 3.0 MB/s.
    assert byte_progress.described("x", 200_000, None, 200_000, 0.1) == "x: 0.2 MB, 2.0 MB/s"
    assert byte_progress.duration(59.6) == "1 min 00 s"
    assert byte_progress.duration(3661) == "1 h 01 min"


def test_where_lines_stay_there_are_few_and_none_where_it_is_not_wanted(
    server, get, capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr(byte_progress, "LINE_SECONDS", 0.0)
    url = server.at("/x", file(CONTENT))
    get(url, progress=False)
    assert capsys.readouterr().err == ""
    (tmp_path / "x.zip").unlink()
    get(url)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 3 and "\r" not in "".join(lines)
    assert lines[-1] == f"x.zip: 1.0 MB, whole, in {tmp_path}"
    (tmp_path / "x.zip").unlink()
    monkeypatch.setattr(byte_progress, "LINE_SECONDS", 60.0)
    get(url)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_on_a_terminal_one_line_is_overwritten(server, tmp_path):
    """In a process whose standard error is a terminal."""
    main, terminal = os.openpty()
    code = "from pipelines.downloads import byte_progress as b; b.OVERWRITE_SECONDS = 0.0\n" + CALL
    url = server.at("/x", file(CONTENT))
    command = [sys.executable, "-c", code, url, str(tmp_path / "x.zip"), SHA256, ""]
    root = Path(__file__).parents[2]
    try:
        subprocess.run(command, stderr=terminal, check=True, cwd=root, timeout=60)
        said = os.read(main, 100_000).decode()
    finally:
        os.close(main)
        os.close(terminal)
    assert said.count("\n") == 1 and said.count(byte_progress.ERASE) > 3
    assert "MB/s" in said and said.endswith(f"x.zip: 1.0 MB, whole, in {tmp_path}\r\n")


def test_a_speed_is_of_this_run_alone():
    progress = byte_progress.ByteProgress("x", is_shown=False)
    progress.advance(500, 1000)
    assert progress._first == 500
    progress.advance(0, 1000)  # From the first byte again.
    assert progress._first == 0


def test_the_parts_share_one_folder_without_meeting(server, tmp_path):
    """Two files whose names begin alike."""
    for name in ("x", "x.part.json.zip"):
        fetch(Download((server.at(f"/{name}", file(CONTENT)),), SHA256), tmp_path / name)
    assert names(tmp_path) == ["x", "x.part.json.zip"]


def test_the_pieces_are_small_enough_to_lose_little():
    assert partial_file.KEEP_SECONDS <= 2 and http_answers.BLOCK_BYTES <= 1 << 18
    assert download.LARGEST_BYTES > 1_768_163_879  # Lakh, the largest there is to get.
