"""When help is taken: with a clock that is made up."""

from skcnn.training.distributed.speedup import GLANCE, LONGEST, SHORTEST, WINDOW, SpeedupMonitor


def run(pace, alone, together, seconds):
    """Seconds spent together, of so many."""
    now = helped = 0.0
    while now < seconds:
        taken = pace.together
        spent = together if taken else alone
        pace.note(taken, spent)
        now += spent
        helped += spent * taken
    return helped


def test_help_that_helps_is_taken_all_the_time():
    assert run(SpeedupMonitor(0.01), 0.01, 0.006, 100) > 100 - 2 * WINDOW


def test_help_that_does_not_help_is_hardly_taken():
    helped = run(SpeedupMonitor(0.01), 0.01, 0.0105, 100)  # which takes a whole window to see
    assert 0 < helped < 100 * 2 * WINDOW / LONGEST + 1


def test_help_that_is_hopeless_is_given_up_at_a_glance():
    helped = run(SpeedupMonitor(0.01), 0.01, 0.02, 100)
    assert 0 < helped < 100 * 2 * GLANCE / LONGEST + 0.5


def test_help_is_taken_again_when_the_machine_has_room():
    pace = SpeedupMonitor(0.01)
    run(pace, 0.01, 0.02, 30)
    assert run(pace, 0.01, 0.006, 100) > 100 - LONGEST - 1
    run(pace, 0.01, 0.02, 3 * WINDOW)  # and given up at once when there is none
    assert not pace.together
    assert run(pace, 0.01, 0.02, SHORTEST / 2) == 0


def test_a_machine_that_becomes_slower_for_all_is_no_reason_to_rest():
    pace = SpeedupMonitor(0.01)
    run(pace, 0.01, 0.006, 10)
    assert run(pace, 0.03, 0.018, 100) > 100 - 4 * WINDOW
    assert run(pace, 0.01, 0.006, 100) > 100 - 4 * WINDOW


def test_a_slow_moment_is_no_reason_to_rest():
    pace = SpeedupMonitor(0.01)
    run(pace, 0.01, 0.006, 10)
    for _ in range(5):
        run(pace, 0.01, 0.02, WINDOW)
        assert run(pace, 0.01, 0.006, 2) > 2 - 4 * WINDOW


def test_the_first_mini_batches_together_do_not_count():
    pace = SpeedupMonitor(0.01)
    run(pace, 0.01, 0.02, GLANCE)
    assert run(pace, 0.01, 0.006, 10) > 10 - WINDOW / 2
