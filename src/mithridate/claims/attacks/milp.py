"""The exact optimum over an edit space, as a mixed-integer linear program that HiGHS solves.

Trees follow Kantchelian, Tygar and Joseph (ICML 2016): one continuous variable a leaf, one binary a test; leaves below
the `yes` side of a test need the test to hold, leaves below the `no` side need it not to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import highspy
import numpy as np
from numpy.typing import NDArray

from mithridate.claims.attacks.reduced import Branch, Node, Test, least, reachable_values, reduce_trees
from mithridate.claims.trees import Exact, Linear
from mithridate.errors import MithridateError

TOLERANCE = 1e-6
"""How far HiGHS may overstep a row; ceilings are widened by ten times as much, so that rounding proves nothing."""

_SETTINGS: dict[str, bool | float | str] = {
    "output_flag": False,
    "threads": 1,
    "random_seed": 0,
    "mip_rel_gap": 0.0,
    "mip_abs_gap": TOLERANCE,
    "mip_feasibility_tolerance": TOLERANCE,
    "primal_feasibility_tolerance": TOLERANCE,
    # Reduced trees leave nothing for a presolve to find, and the leaf encoding is so tight that most programs end at
    # the root: presolve, restarts and heuristics took seven eighths of the time.
    "presolve": "off",
    "mip_allow_restart": False,
    "mip_detect_symmetry": False,
    "mip_heuristic_effort": 0.0,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_root_reduced_cost": False,
}

Status = Literal["optimal", "infeasible", "unfinished"]


@dataclass(frozen=True)
class Row:
    """lower <= sum of coefficients x variables <= upper, over the named binaries of a problem."""

    variables: tuple[int, ...]
    coefficients: tuple[float, ...]
    lower: float
    upper: float


@dataclass(frozen=True, eq=False)
class Problem:
    """An edit space as numbers: n binary variables, F features.

    start (F) the features when all variables are 0; effects (n x F) what each variable adds; worth (n) dollars that
    each adds; rows the constraints; groups: sets of variables of which exactly one is 1; most: how many of the
    variables outside the groups can be 1 at once.
    """

    start: NDArray[np.float64]
    effects: NDArray[np.float64]
    worth: NDArray[np.float64]
    rows: tuple[Row, ...]
    groups: tuple[tuple[int, ...], ...]
    most: int


@dataclass(frozen=True, eq=False)
class Optimum:
    """What was proven.  `chosen` lists the variables that are 1 (empty when none was found)."""

    status: Status
    chosen: tuple[int, ...] = ()
    objective: float = float("nan")


def lowest_margin(problem: Problem, model: Exact, *, seconds: float = 10.0, nodes: int = 200_000) -> Optimum:
    """The edits that bring the model's margin as low as any can."""
    return _solve(problem, model, None, None, seconds, nodes)


def highest_worth(
    problem: Problem,
    model: Exact,
    *,
    ceiling: float,
    floor: float | None = None,
    seconds: float = 10.0,
    nodes: int = 200_000,
) -> Optimum:
    """The edits of most worth whose margin stays at or below `ceiling` (to 1e-5), worth above `floor` only.

    "infeasible" means that there are none: no edits within the space keep the margin down and are worth more.
    """
    return _solve(problem, model, ceiling, floor, seconds, nodes)


@dataclass
class _Program:
    """Columns and rows as HiGHS takes them."""

    cost: list[float] = field(default_factory=list)
    integral: list[bool] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    starts: list[int] = field(default_factory=lambda: [0])
    index: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)

    def column(self, cost: float, integral: bool) -> int:
        self.cost.append(cost)
        self.integral.append(integral)
        return len(self.cost) - 1

    def row(self, terms: dict[int, float], lower: float, upper: float) -> None:
        kept = {column: factor for column, factor in terms.items() if factor != 0}
        self.index.extend(kept)
        self.value.extend(kept.values())
        self.starts.append(len(self.index))
        self.lower.append(lower)
        self.upper.append(upper)


@dataclass(frozen=True)
class _Affine:
    """constant + sum of factors x columns."""

    constant: float
    terms: dict[int, float]


def _solve(
    problem: Problem, model: Exact, ceiling: float | None, floor: float | None, seconds: float, nodes: int
) -> Optimum:
    program = _Program()
    for worth in problem.worth:
        program.column(-float(worth) if ceiling is not None else 0.0, True)
    for row in problem.rows:
        program.row(dict(zip(row.variables, row.coefficients, strict=True)), row.lower, row.upper)
    for group in problem.groups:
        program.row(dict.fromkeys(group, 1.0), 1.0, 1.0)
    margin = _linear(problem, model) if isinstance(model, Linear) else _trees(problem, model, program)
    if margin is None:
        return Optimum("unfinished")
    if ceiling is None:
        for column, factor in margin.terms.items():
            program.cost[column] += factor
    else:
        program.row(margin.terms, -np.inf, ceiling + 10 * TOLERANCE - margin.constant)
        if floor is not None:
            program.row({i: float(w) for i, w in enumerate(problem.worth)}, floor, np.inf)
    optimum = _run(program, len(problem.worth), seconds, nodes)
    if optimum.status != "optimal":
        return optimum
    objective = float(problem.worth[list(optimum.chosen)].sum()) if ceiling is not None else optimum.objective
    return Optimum("optimal", optimum.chosen, objective + (margin.constant if ceiling is None else 0.0))


def _linear(problem: Problem, model: Linear) -> _Affine:
    factors = problem.effects @ model.weights
    return _Affine(float(problem.start @ model.weights + model.bias), dict(enumerate(factors.tolist())))


def _trees(problem: Problem, model: Any, program: _Program) -> _Affine | None:
    """The margin over leaf variables; None when a feature can take too many values."""
    grouped = {variable for group in problem.groups for variable in group}
    free = np.array([i for i in range(len(problem.worth)) if i not in grouped], dtype=int)
    touched = np.flatnonzero(np.any(problem.effects != 0, axis=0))
    try:
        reach = {
            int(feature): reachable_values(
                float(problem.start[feature]),
                problem.effects[free, feature],
                [problem.effects[list(group), feature] for group in problem.groups],
                problem.most,
            )
            for feature in touched
        }
    except ValueError:
        return None
    writer = _TreeWriter(problem, reach, program)
    constant = model.base
    terms: dict[int, float] = {}
    for node in reduce_trees(model, reach, problem.start):
        if isinstance(node, float):
            constant += node
            continue
        offset = least(node)
        constant += offset
        terms |= writer.write(node, offset)
    return _Affine(constant, terms)


class _TreeWriter:
    """Writes reduced trees into a program; equal tests of different trees share their binary."""

    def __init__(self, problem: Problem, reach: dict[int, NDArray[np.float64]], program: _Program) -> None:
        self._problem, self._reach, self._program = problem, reach, program
        self._tests: dict[Test, _Affine] = {}

    def write(self, root: Branch, offset: float) -> dict[int, float]:
        """Leaf variables and rows of one tree; returns each leaf variable's value above `offset`."""
        values: dict[int, float] = {}
        leaves = self._below(root, values, offset)
        self._program.row(dict.fromkeys(leaves, 1.0), 1.0, 1.0)
        return values

    def _below(self, node: Node, values: dict[int, float], offset: float) -> list[int]:
        if isinstance(node, float):
            leaf = self._program.column(0.0, False)
            values[leaf] = node - offset
            return [leaf]
        yes, no = self._below(node.yes, values, offset), self._below(node.no, values, offset)
        test = self._test(node.test)
        negative = {column: -factor for column, factor in test.terms.items()}
        self._program.row(dict.fromkeys(yes, 1.0) | negative, -np.inf, test.constant)
        self._program.row(dict.fromkeys(no, 1.0) | test.terms, -np.inf, 1.0 - test.constant)
        return yes + no

    def _test(self, test: Test) -> _Affine:
        if test not in self._tests:
            self._tests[test] = self._new_test(test)
        return self._tests[test]

    def _new_test(self, test: Test) -> _Affine:
        column = self._problem.effects[:, test.feature]
        movers = np.flatnonzero(column)
        values = self._reach[test.feature]
        start = float(self._problem.start[test.feature])
        group = next((g for g in self._problem.groups if set(movers) <= set(g)), None)
        if group is not None:  # exactly one of a group decides: the test is a sum of its variables
            limit = (values[test.rank] + values[test.rank + 1]) / 2
            return _Affine(0.0, {i: 1.0 for i in group if start + column[i] <= limit})
        if len(movers) == 1:
            return (
                _Affine(1.0, {int(movers[0]): -1.0}) if column[movers[0]] > 0 else _Affine(0.0, {int(movers[0]): 1.0})
            )
        holds = self._program.column(0.0, True)
        moved = {int(i): float(column[i]) for i in movers}
        below, above = float(values[test.rank]), float(values[test.rank + 1])
        # x <= below + (largest - below)(1 - holds)   and   x >= above - (above - smallest) holds
        self._program.row(moved | {holds: float(values[-1]) - below}, -np.inf, float(values[-1]) - start)
        self._program.row(moved | {holds: above - float(values[0])}, above - start, np.inf)
        for other, affine in self._tests.items():
            if other.feature == test.feature:
                lower, higher = (
                    (affine, _Affine(0, {holds: 1.0}))
                    if other.rank < test.rank
                    else (
                        _Affine(0, {holds: 1.0}),
                        affine,
                    )
                )
                self._program.row(lower.terms | {c: -f for c, f in higher.terms.items()}, -np.inf, 0.0)
        return _Affine(0.0, {holds: 1.0})


def _run(program: _Program, binaries: int, seconds: float, nodes: int) -> Optimum:
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    limits = {"time_limit": float(seconds), "mip_max_nodes": int(nodes)}
    for option, value in (_SETTINGS | limits).items():
        solver.setOptionValue(option, value)
    columns = len(program.cost)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = columns, len(program.lower)
    lp.col_cost_ = np.array(program.cost)
    lp.col_lower_, lp.col_upper_ = np.zeros(columns), np.ones(columns)
    lp.row_lower_, lp.row_upper_ = np.array(program.lower), np.array(program.upper)
    lp.integrality_ = [
        highspy.HighsVarType.kInteger if integral else highspy.HighsVarType.kContinuous for integral in program.integral
    ]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.array(program.starts)
    lp.a_matrix_.index_ = np.array(program.index, dtype=np.int32)
    lp.a_matrix_.value_ = np.array(program.value)
    if solver.passModel(lp) == highspy.HighsStatus.kError:
        raise MithridateError("HiGHS refused the program of an exact attack")
    solver.run()
    status = solver.getModelStatus()
    if status == highspy.HighsModelStatus.kInfeasible:
        return Optimum("infeasible")
    if status != highspy.HighsModelStatus.kOptimal:
        return Optimum("unfinished")
    solution = np.array(solver.getSolution().col_value)[:binaries]
    return Optimum("optimal", tuple(np.flatnonzero(solution > 0.5).tolist()), solver.getInfo().objective_function_value)
