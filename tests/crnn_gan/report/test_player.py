"""The player in the page: buttons, bar, keys, playheads, on wide and narrow windows and on paper.

The browser's clock of sound runs on its own; no test measures how fast anything is.
"""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from visit import BEGIN_SECONDS, CHORDS, EMPTY, HOUR, NARROW, WIDE, Visit


def test_a_piece_is_saved_as_wav(visit, tmp_path):
    visit.button(CHORDS).click()
    with visit.page.expect_download() as download:
        visit.control("save").click()
    assert download.value.suggested_filename == "chords.wav"
    download.value.save_as(tmp_path / "chords.wav")
    with wave.open(io.BytesIO((tmp_path / "chords.wav").read_bytes())) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 44100)
        # The beginning, 8 s of piece and 2 s until the hall is quiet.
        assert file.getnframes() == round((BEGIN_SECONDS + 8 + 2) * 44100)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert 3000 < np.abs(samples.astype(int)).max() < 32767
    visit.asked = [url for url in visit.asked if not url.startswith("blob:")]


@pytest.mark.parametrize("window", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_page_of_any_width_opens_quietly_plays_and_never_scrolls_sideways(
    browser, report, window
):
    visit = Visit(browser, report, viewport=window, has_touch=window is NARROW)
    assert visit.button(CHORDS).is_visible()
    assert not visit.control("toggle").is_visible()
    assert visit.sideways() <= 0
    (visit.button(CHORDS).tap if window is NARROW else visit.button(CHORDS).click)()
    visit.wait("player.seconds > 0.1 && player.level() > 0.003")
    for name in ("previous", "toggle", "stop", "next", "seek", "volume", "elapsed", "title"):
        box = visit.control(name).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= window["width"], name
        assert box["y"] + box["height"] <= window["height"], name
    for name in ("previous", "toggle", "stop", "next"):
        box = visit.control(name).bounding_box()
        assert min(box["width"], box["height"]) >= 44, name
    assert visit.sideways() <= 0
    visit.context.close()
    assert visit.said == []
    assert visit.asked == [report.as_uri()]


def test_the_end_of_the_page_is_not_hidden_by_the_bar(visit):
    visit.button(CHORDS).click()
    visit.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    gap = visit.page.evaluate(
        """document.querySelector("section.player").getBoundingClientRect().top
        - document.querySelector("main").getBoundingClientRect().bottom"""
    )
    assert gap >= 0


def test_play_sounds_and_moves_pause_keeps_the_place_and_is_silent(visit):
    visit.button(CHORDS).click()
    visit.wait("player.level() > 0.003")
    assert visit.of("playing")
    assert visit.button(CHORDS).inner_text() == "Pause"
    assert visit.control("title").inner_text() == "chords.mid"
    assert visit.control("total").inner_text() == "0:08"
    ((piece, row, earlier),) = visit.playheads()
    assert (piece, row) == (CHORDS, 0)
    visit.wait("player.seconds > 1")
    ((_, _, later),) = visit.playheads()
    assert later > earlier
    visit.button(CHORDS).click()
    stopped = visit.of("seconds")
    assert 1 <= stopped < 8
    assert not visit.of("playing")
    visit.wait("player.level() < 1e-4")
    assert visit.of("seconds") == stopped
    visit.control("toggle").click()
    assert visit.of("playing") and visit.of("seconds") >= stopped


def test_the_slider_seeks_and_the_playhead_follows_into_another_row(visit):
    visit.button(HOUR).click()
    assert visit.control("total").inner_text() == "1:00:00"
    visit.control("seek").fill("100")
    visit.wait("player.seconds > 100.2 && player.level() > 0.003")
    assert visit.control("elapsed").inner_text() == "1:40"
    ((piece, row, share),) = visit.playheads()
    assert (piece, row) == (HOUR, 4)  # Rows of 24 s: the fifth begins at 96.
    assert 4 / 24 < share < 12 / 24
    assert visit.control("seek").get_attribute("aria-valuetext") == "1:40 of 1:00:00"


def test_a_paused_piece_stays_paused_where_it_is_sought(visit):
    visit.page.evaluate("player.play(0); player.pause(); player.seek(5)")
    assert (visit.of("playing"), visit.of("seconds")) == (False, 5)
    assert visit.playheads() == [[CHORDS, 0, pytest.approx(5 / 24, abs=1e-4)]]
    visit.page.evaluate("player.seek(99)")
    assert visit.of("seconds") == 8
    visit.page.evaluate("player.seek(-1)")
    assert visit.of("seconds") == 0


def test_a_click_on_a_roll_plays_from_there_and_one_behind_the_end_does_nothing(visit):
    roll = visit.page.locator(f'[data-piece="{CHORDS}"] .roll')
    width = roll.bounding_box()["width"]
    roll.click(position={"x": width * 16 / 24, "y": 20})
    assert visit.of("piece") == -1
    roll.click(position={"x": width * 4 / 24, "y": 20})
    assert visit.of("piece") == CHORDS
    assert 3.9 < visit.of("seconds") < 8
    visit.wait("player.level() > 0.003")
    visit.page.locator(f'[data-piece="{HOUR}"] .roll').nth(1).click(position={"x": 1, "y": 20})
    assert visit.of("piece") == HOUR
    assert 24 <= visit.of("seconds") < 40
    assert [piece for piece, _, _ in visit.playheads()] == [HOUR]


def test_stop_goes_to_the_beginning_and_is_silent(visit):
    visit.page.evaluate("player.play(0, 3)")
    visit.wait("player.level() > 0.003")
    visit.control("stop").click()
    assert (visit.of("playing"), visit.of("seconds")) == (False, 0)
    visit.wait("player.level() < 1e-4")
    assert visit.button(CHORDS).inner_text() == "Play"


def test_next_and_previous_pass_over_a_piece_without_notes(visit):
    visit.button(CHORDS).click()
    visit.control("next").click()
    assert (visit.of("piece"), visit.of("playing")) == (HOUR, True)
    assert visit.button(CHORDS).inner_text() == "Play"
    visit.control("next").click()  # There is none.
    assert visit.of("piece") == HOUR
    visit.page.evaluate("player.seek(60)")
    visit.control("previous").click()  # To the beginning of this one,
    assert visit.of("piece") == HOUR and visit.of("seconds") < 3
    visit.page.evaluate("player.pause()")
    visit.page.evaluate("player.seek(0)")
    visit.control("previous").click()  # and from there to the one before.
    assert visit.of("piece") == CHORDS


def test_a_piece_without_notes_cannot_be_played(visit):
    assert visit.button(EMPTY).is_disabled()
    visit.page.evaluate("player.play(1)")
    visit.page.locator(f'[data-piece="{EMPTY}"] .roll').click()
    assert (visit.of("piece"), visit.of("playing"), visit.of("level()")) == (-1, False, 0)


def test_a_piece_stops_at_its_end_and_play_begins_it_again(visit):
    visit.page.evaluate("player.play(0, 7.5)")
    visit.wait("!player.playing")
    assert (visit.of("piece"), visit.of("seconds")) == (CHORDS, 0)
    assert visit.button(CHORDS).inner_text() == "Play"
    visit.control("toggle").click()
    visit.wait("player.playing && player.level() > 0.003")
    assert visit.of("seconds") < 7


def test_keys_play_seek_and_stop_and_leave_other_elements_alone(visit):
    press = visit.page.keyboard.press
    press("Space")  # Scrolls, as long as nothing was played.
    assert visit.of("piece") == -1
    visit.page.evaluate("player.play(2, 60)")
    press("Space")
    assert not visit.of("playing")
    there = visit.of("seconds")
    press("ArrowRight")
    assert visit.of("seconds") == pytest.approx(there + 5)
    press("ArrowLeft")
    press("ArrowLeft")
    assert visit.of("seconds") == pytest.approx(there - 5)
    visit.control("seek").focus()
    press("ArrowUp")
    assert visit.of("seconds") == pytest.approx(there)
    press("Space")
    assert visit.of("playing")
    visit.control("toggle").focus()
    press("Space")  # Presses the button, once.
    assert not visit.of("playing")
    visit.page.locator("nav a").first.focus()
    press("ArrowRight")
    assert visit.of("seconds") == pytest.approx(there, abs=3)
    visit.control("volume").locator("input").focus()
    press("ArrowLeft")
    assert visit.control("volume").locator("input").input_value() == "79"
    assert visit.of("seconds") == pytest.approx(there, abs=3)
    visit.page.locator("nav a").first.focus()
    press("Escape")
    assert (visit.of("playing"), visit.of("seconds")) == (False, 0)


def test_the_volume_changes_what_is_heard(visit):
    visit.page.evaluate("player.play(2)")
    visit.wait("player.level() > 0.003")
    visit.control("volume").locator("input").fill("0")
    visit.wait("player.level() < 1e-4")
    assert visit.of("playing")


def test_an_hour_holds_no_more_voices_than_a_minute(visit):
    visit.page.evaluate("player.play(2, 1800)")
    visit.wait("player.seconds > 1801 && player.level() > 0.003")
    assert 3 <= visit.of("voices") <= 20  # Chords of three tones every half second.


def test_a_hidden_page_hands_over_more_music_ahead(visit):
    visit.page.evaluate("player.play(2)")
    visit.wait("player.seconds > 0.2")
    seen = visit.of("voices")
    visit.page.evaluate(
        """Object.defineProperty(document, "hidden", {value: true});
        document.dispatchEvent(new Event("visibilitychange"))"""
    )
    assert visit.of("voices") >= seen + 12  # 2.7 seconds more, six tones a second.


def test_music_waits_while_the_page_is_held_up_rather_than_bunching(visit):
    visit.page.evaluate("player.play(2)")
    visit.wait("player.seconds > 0.2")
    passed, held = visit.page.evaluate(
        """async () => {
            const [before, start] = [player.seconds, performance.now()];
            while (performance.now() < start + 1500);
            await new Promise((done) => setTimeout(done, 200));
            return [player.seconds - before, (performance.now() - start) / 1000];
        }"""
    )
    assert 0 < passed < held - 0.8


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_bar_has_the_colours_of_the_page(browser, report, scheme):
    visit = Visit(browser, report, color_scheme=scheme)
    visit.button(CHORDS).click()
    style = "getComputedStyle(document.querySelector('{}')).{}".format
    bar = visit.page.evaluate(style("section.player", "backgroundColor"))
    assert bar == visit.page.evaluate(style("html", "backgroundColor"))
    mean = np.mean([float(part) for part in bar[4:-1].split(",")[:3]])
    assert (mean < 64) if scheme == "dark" else (mean > 192)
    visit.context.close()


def test_paper_shows_neither_bar_nor_buttons_nor_playhead(visit):
    visit.button(CHORDS).click()
    visit.page.emulate_media(media="print")
    assert not visit.control("toggle").is_visible()
    assert not visit.button(CHORDS).is_visible()
    assert visit.playheads() == []
    assert visit.page.pdf().startswith(b"%PDF")


def test_less_motion_moves_the_playhead_twice_a_second(browser, report):
    visit = Visit(browser, report, reduced_motion="reduce")
    visit.button(CHORDS).click()
    visit.wait("player.seconds > 0.2")
    moves = visit.page.evaluate(
        """async () => {
            let moves = 0;
            const line = document.querySelector('[data-piece="0"] .playhead');
            new MutationObserver((list) => {
                moves += list.length;
            }).observe(line, { attributes: true, attributeFilter: ["x1"] });
            const start = player.seconds;
            while (player.seconds < start + 1.2) await new Promise(requestAnimationFrame);
            return moves;
        }"""
    )
    assert 1 <= moves <= 6  # With motion there are sixty a second.
    visit.context.close()


def test_controls_have_names_and_show_where_the_focus_is(visit):
    visit.button(CHORDS).click()
    bar = visit.page.get_by_role("region", name="Player")
    for name in ("Previous piece", "Pause", "Stop", "Next piece", "Save as WAV"):
        assert bar.get_by_role("button", name=name, exact=True).count() == 1, name
    for name in ("Position", "Volume"):
        assert bar.get_by_role("slider", name=name).count() == 1, name
    assert visit.button(CHORDS).get_attribute("aria-label") == "Pause chords.mid"
    focused = "getComputedStyle(document.activeElement{}).{}".format
    visit.page.keyboard.press("Tab")
    visit.control("stop").focus()
    assert visit.page.evaluate(focused("", "outlineWidth")) == "3px"
    # A slider shows it by a ring around its handle, and takes part in the order of Tab.
    visit.control("next").focus()
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.className") == "player-seek"
    assert visit.page.evaluate(focused("", "getPropertyValue('--ring')")) != ""


def test_a_browser_without_web_audio_is_told_so_once_and_has_no_buttons(browser, report):
    visit = Visit(browser, report, script="delete window.AudioContext")
    words = visit.page.locator(".no-player")
    assert words.count() == 1
    assert "no Web Audio" in words.inner_text()
    assert not visit.button(CHORDS).is_visible()
    visit.context.close()
    assert visit.said == []
