"""Runs a command in a pseudo-terminal of its own, as a terminal window does, and obeys lines on standard input:

    keys HEX    types these bytes
    hold        reads no more of what the command writes
    go          reads it again
    close       closes the terminal, as closing its window does

What the command writes goes to standard output. The last line of standard error is its exit code, or minus its signal.
Usage: terminal.py COLUMNS ROWS COMMAND [ARGUMENT...]
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios


def main():
    columns, rows, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.execvp(command[0], command)
    pidfd = os.pidfd_open(child)
    is_held = False
    pending = b""
    inputs = {0, terminal, pidfd}
    while True:
        ready, _, _ = select.select([one for one in inputs if not (is_held and one == terminal)], [], [])
        if terminal in ready:
            try:
                text = os.read(terminal, 65536)
            except OSError:
                text = b""
            if text == b"":
                inputs.discard(terminal)
            else:
                os.write(1, text)
                continue
        if pidfd in ready:
            break
        if 0 in ready:
            text = os.read(0, 65536)
            if text == b"":
                inputs.discard(0)
            *lines, pending = (pending + text).split(b"\n")
            for line in lines:
                word, _, value = line.decode().partition(" ")
                if word == "keys":
                    os.write(terminal, bytes.fromhex(value))
                elif word == "hold":
                    is_held = True
                elif word == "go":
                    is_held = False
                elif word == "close":
                    inputs.discard(terminal)
                    os.close(terminal)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), file=sys.stderr)


main()
