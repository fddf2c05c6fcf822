"""From learning curves to numbers, with intervals; numpy only."""
