"""From learning curves to numbers with intervals and verdicts; numpy only, except in `significance`."""
