# summary.awk - turns the output of one test program into "p P f F s S" and what to show of failures.
#
#   awk -v test=NAME -v rc=EXIT_CODE -v verbose=0|1 -f summary.awk NAME.out
#
# The counts go to stderr, the text to stdout. A line `ok - x`, `not ok 3 - x` or `ok - x # SKIP why`
# is a result. Lines before a `not ok` since the result before it (a seed), and lines after it, explain
# it. A program that fails, ends early or prints no result at all has failed too.
function result_name(line)
{
    sub(/^(not )?ok */, "", line)
    sub(/^[0-9]+ */, "", line)
    sub(/^- */, "", line)
    return line
}

/^(not )?ok( |$)/ {
    name = result_name($0)
    n_results++
    failing = 0
    if ($0 ~ /# *SKIP/) {
        skipped++
        verdict = "skip    "
    } else if ($1 == "ok") {
        passed++
        verdict = "ok      "
    } else {
        failed++
        failing = 1
        verdict = "FAILED  "
    }
    if (failing || verbose) {
        print verdict test ": " name
    }
    for (i = 1; i <= n_lines; i++) {
        if (failing) {
            print "        " line[i]
        }
    }
    n_lines = 0
    next
}

/^1\.\.[0-9]+$/ {
    planned = substr($0, 4) + 0
    next
}

failing {
    print "        " $0
    next
}

{
    line[++n_lines] = $0
}

END {
    if (rc != 0 && failed == 0) {
        why = "exit code " rc
    } else if (n_results == 0) {
        why = "printed no result"
    } else if (planned != "" && n_results < planned) {
        why = n_results " of " planned " results, then it ended"
    }
    if (why != "") {
        failed++
        print "FAILED  " test ": " why
        for (i = n_lines > 60 ? n_lines - 60 : 1; i <= n_lines; i++) {
            print "        " line[i]
        }
    }
    print passed + 0, failed + 0, skipped + 0 > "/dev/stderr"
}
