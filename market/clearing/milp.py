"""A mixed-integer program put together row by row and handed to HiGHS: one thread and a fixed seed, so that the same program
ends in the same solution unless the time runs out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import highspy
import numpy as np

INFINITY = float("inf")


@dataclass(frozen=True, slots=True)
class Answer:
    """The best point found (None where there is none) and a bound on all of them."""

    values: list[float] | None
    bound: float
    optimal: bool
    infeasible: bool


@dataclass
class Program:
    """Maximize; columns and rows as they are added."""

    costs: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    integers: list[bool] = field(default_factory=list)
    row_lower: list[float] = field(default_factory=list)
    row_upper: list[float] = field(default_factory=list)
    starts: list[int] = field(default_factory=lambda: [0])
    index: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)

    def column(self, cost: float, lower: float, upper: float, integer: bool = False) -> int:
        """Adds a variable; returns its number."""
        self.costs.append(cost)
        self.lower.append(lower)
        self.upper.append(upper)
        self.integers.append(integer)
        return len(self.costs) - 1

    def row(self, lower: float, upper: float, terms: Mapping[int, float]) -> None:
        """Adds `lower <= sum(terms) <= upper`."""
        self.row_lower.append(lower)
        self.row_upper.append(upper)
        for column, factor in terms.items():
            if factor:
                self.index.append(column)
                self.value.append(factor)
        self.starts.append(len(self.index))

    def maximize(self, seconds: float, gap: float) -> Answer:
        """Solves to a relative `gap` or until `seconds` have passed, whatever is first."""
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(self.costs), len(self.row_lower)
        lp.sense_ = highspy.ObjSense.kMaximize
        lp.col_cost_ = np.array(self.costs)
        lp.col_lower_, lp.col_upper_ = np.array(self.lower), np.array(self.upper)
        lp.row_lower_, lp.row_upper_ = np.array(self.row_lower), np.array(self.row_upper)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.array(self.starts, dtype=np.int32)
        lp.a_matrix_.index_ = np.array(self.index, dtype=np.int32)
        lp.a_matrix_.value_ = np.array(self.value)
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        if any(self.integers):
            lp.integrality_ = [kinds[integer] for integer in self.integers]
        solver = highspy.Highs()  # type: ignore[no-untyped-call]
        options: dict[str, bool | int | float] = {
            "output_flag": False,
            "threads": 1,
            "random_seed": 0,
            "time_limit": max(seconds, 0.0),
            "mip_rel_gap": gap,
            "mip_abs_gap": 1e-9,
            "mip_feasibility_tolerance": 1e-7,
            "primal_feasibility_tolerance": 1e-9,
        }
        for name, setting in options.items():
            solver.setOptionValue(name, setting)
        solver.passModel(lp)
        solver.run()
        status = solver.getModelStatus()
        info = solver.getInfo()
        infeasible = status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible)
        optimal = status == highspy.HighsModelStatus.kOptimal
        solution = solver.getSolution()
        found = solution.value_valid and info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        bound = info.mip_dual_bound if any(self.integers) else INFINITY
        if optimal and not any(self.integers):
            bound = info.objective_function_value
        return Answer(list(solution.col_value) if found else None, bound, optimal, infeasible)
