"""Blocks of the documentation that are output of sinter, and IR in it that must parse.

    <!-- begin: sinter ARGUMENTS -->
    ...                                  what the command prints, in a ``` fence or as it is
    <!-- end -->

    ```ir                                must be a module that `sinter opt` reads
    ...
    ```

Prints a TAP line for each; with SINTER_UPDATE=1 rewrites the first sort. Run by ../docs.sh.
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile

SINTER = os.environ["SINTER"]
BLOCK = re.compile(r"(<!-- begin: sinter (.*?) -->\n)(.*?)(<!-- end -->\n)", re.S)
IR = re.compile(r"^```ir\n(.*?)^```$", re.S | re.M)


def run(arguments):
    done = subprocess.run([SINTER] + arguments, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else done.stdout + done.stderr


def expected(command, body):
    text = re.sub(r" +$", "", run(shlex.split(command)), flags=re.M).rstrip("\n") + "\n"
    fence = re.match(r"```\w*\n", body)
    return fence.group() + text + "```\n" if fence else text


def report(ok, name, why=()):
    print(("ok - " if ok else "not ok - ") + name)
    for line in [] if ok else why:
        print("# " + line)


def check_blocks(path, page):
    def one(match):
        head, command, body, end = match.groups()
        want = expected(command, body)
        ok = want == body or bool(os.environ.get("SINTER_UPDATE"))
        report(ok, f"{path}: sinter {command}", ["it prints:"] + want.splitlines())
        return head + (want if ok else body) + end

    return BLOCK.sub(one, page)


def check_ir(path, page):
    for i, match in enumerate(IR.finditer(page), 1):
        with tempfile.NamedTemporaryFile("w", suffix=".ir") as file:
            file.write(match.group(1))
            file.flush()
            done = subprocess.run([SINTER, "opt", file.name], capture_output=True, text=True)
        report(done.returncode == 0, f"{path}: IR example {i} parses", done.stderr.splitlines())


for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        page = file.read()
    new = check_blocks(path, page)
    if new != page:
        with open(path, "w", encoding="utf-8") as file:
            file.write(new)
    check_ir(path, page)
    report(page.count("<!-- begin:") == page.count("<!-- end -->"), f"{path}: every block ends")
