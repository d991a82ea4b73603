"""From files of music to tf.data batches: sources, readers, codecs, records. Without Keras."""

import signal
import sys

# While `python -m` looks for a command, before it imports what that needs: Ctrl-C ends it without a
# traceback, until the command says what is kept (`pipelines.stopping`).
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
