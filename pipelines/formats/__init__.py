"""Formats of music, read and written: MIDI, ABC, MusicXML, kern, piano rolls, WAV."""
