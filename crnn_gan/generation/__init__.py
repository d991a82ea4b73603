"""What an exported model offers: signatures, MIDI bytes from TensorFlow ops, audit."""
