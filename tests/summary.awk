# SPDX-License-Identifier: MIT
# Adds up the TAP files that tests/run_one kept: lists what failed and what was skipped, with the
# reasons, then the closing line. What did not run (a crash, a time limit) has failed.
function begin_program()
{
    program = FILENAME
    sub(/.*\//, "", program)
    plan = -1
    seen = bad = 0
    ended = 0
    notes = reason = ""
}

function fail(what, why)
{
    failed++
    failures = failures "FAILED  " program ": " what "\n" why
}

function skip(what, why)
{
    skipped++
    skips = skips "skipped " program ": " what (why == "" ? "" : " (" why ")") "\n"
}

function end_program(    lost)
{
    if (program == "") return
    lost = plan - seen
    if (plan < 0) fail("printed no plan, so it crashed or did not start", notes)
    else if (lost > 0) fail(lost " of its " plan " cases did not run", notes)
    else if (ended && exit_status != 0 && !bad) fail("exit status " exit_status, notes)
    else if (!ended) fail("was ended before its end (time limit)", notes)
    if (lost > 1) failed += lost - 1
    if (bad && notes != "") failures = failures "        what " program " wrote to stderr last:\n" notes
}

FNR == 1 { end_program(); begin_program() }
/^# program / { program = $3; next }
/^# exit / { ended = 1; exit_status = $3; next }
/^1\.\.[0-9]+/ {
    plan = substr($1, 4) + 0
    if (plan == 0) {
        why = $0
        sub(/^1\.\.0[ #]*(skip|SKIP)?[: ]*/, "", why)
        skip("all of it", why)
    }
    next
}
/^# skip: / { reason = substr($0, 9); next }
/^(not )?ok/ {
    seen++
    name = $0
    sub(/^(not )?ok *[0-9]* *-? */, "", name)
    why = ""
    skipping = match(name, / *# *(SKIP|skip)/)
    if (skipping) {
        why = substr(name, RSTART + RLENGTH)
        sub(/^[: ]+/, "", why)
        name = substr(name, 1, RSTART - 1)
    }
    if (/^not ok/) {
        bad = 1
        fail(name, notes)
    } else if (skipping) {
        skip(name, why != "" ? why : reason)
    } else {
        passed++
    }
    notes = reason = ""
    next
}
/^Bail out!/ { fail($0, notes); bad = 1; next }
{ if (length(notes) < 9000) notes = notes "        " $0 "\n" }

END {
    end_program()
    if (status + 0 != 0 && !failed) fail("the test runner itself, status " status, "")
    if (!passed && !failed && !skipped) fail("no test ran", "")
    printf "%s%s", skips, failures
    printf "%s%d passed, %d failed, %d skipped\n", prefix, passed, failed, skipped
    exit failed != 0
}
