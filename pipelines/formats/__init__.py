"""Music as bytes and text, and the Scores they hold: MIDI, ABC, MusicXML and kern, rolls."""
