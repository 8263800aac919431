"""The engine under the attacks on images: one loop with compaction and refill, and a fast copy to walk on."""

from mithridate.imaging.engine.loop import Goal, Lanes, Walk, walk
from mithridate.imaging.engine.oracles import DecisionOracle, GradientOracle, ScoreOracle, View

__all__ = ["DecisionOracle", "Goal", "GradientOracle", "Lanes", "ScoreOracle", "View", "Walk", "walk"]
