"""Runs a program in a terminal of its own: in_terminal.py KEYS PROGRAM ARGUMENTS…

When it has written "ready", KEYS are typed (Python escapes: \\x03 is Ctrl-C), and each further time that it writes "again".
Prints what is on the terminal, and how the program ended.
"""

import os
import pty
import sys

keys = sys.argv[1].encode().decode('unicode_escape').encode()
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
shown = b''
typed = 0
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:  # EIO: nobody has it open any more
        break
    if part == b'':
        break
    shown += part
    asked = shown.count(b'ready') + shown.count(b'again')
    while typed < asked:
        os.write(terminal, keys)
        typed += 1
sys.stdout.buffer.write(shown)
print('ended', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
