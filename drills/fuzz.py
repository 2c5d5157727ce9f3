"""Group 6: thousands of mutations of valid documents."""

from drills.drill import drill
from drills.model import expectations
from drills.mutations import messages
from drills.stage import Stage
from drills.undisturbed import undisturbed


@drill(6, "mutations of valid documents, each judged by rules said once more")
def fuzz(stage: Stage) -> None:
    """Fields dropped, repeated, retyped and swapped, bytes flipped, cut out and spliced in."""
    amount = 10_500 if stage.long else 500
    stage.say(f"making {amount} messages")
    made = messages(stage.traffic.orders(50), amount, stage.rng.getrandbits(32))
    stage.say("saying what is to become of them")
    cases = [(value, expectations(value)) for value in made]
    with undisturbed(stage, 120):
        stage.say("sending them")
        for value, expected in cases:
            stage.traffic.send(value, expected, partition=stage.rng.randrange(stage.partitions))


DRILLS = (fuzz,)
