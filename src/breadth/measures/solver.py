"""The most diverse samplers by a convex solver: suggestions, which `ceiling` holds to proof."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from breadth.measures.samplers import Samplers

__all__ = ["SolverError", "most_distinct", "most_diverse"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class SolverError(Exception):
    """The solver is missing or gave nothing; says which."""


class _Program:
    """The polytope as the solver takes it: flows in units of the ideal sampler's, so that all are near 1."""

    def __init__(self, samplers: Samplers) -> None:
        try:
            import cvxpy as cp
            from scipy import sparse
        except ImportError:
            missing = "the solver is not installed (pip install 'breadth[ceiling]')"
            raise SolverError(missing) from None
        trie = samplers.trie
        n, size = trie.n_answers, len(samplers)
        every = np.arange(size)
        self.unit = trie.weight[samplers.child] / n
        self.flow = cp.Variable(size)
        self.root = cp.Variable()

        def matrix(value: Floats, row: Ints, column: Ints, rows: int) -> Any:
            return sparse.csr_matrix((value, (row, column)), (rows, size))

        into = trie.prefix_index[samplers.child]
        inner = np.flatnonzero(into >= 0)
        whole = trie.weight[trie.prefixes] / n  # the ideal sampler's reach
        inflow = matrix(self.unit[inner], into[inner], inner, len(whole))
        at_root = (trie.prefixes == 0).astype(float)

        def spent(rank: Floats) -> Any:
            return matrix(samplers.steps(rank) * self.unit, samplers.prefix, every, len(whole))

        # Every row is divided by its largest coefficient: the solver loses digits on unequal rows.
        budget = sparse.diags(1.0 / whole)
        self.constraints = [
            (budget @ (spent(samplers.enter) - inflow)) @ self.flow <= cp.multiply(at_root / whole, self.root)
        ]
        must = np.flatnonzero(~samplers.may_leave)
        if len(must):
            cover = spent(samplers.leave)
            largest = 1.0 / np.maximum(abs(cover).max(axis=1).toarray().ravel(), whole)
            rows = (sparse.diags(largest) @ (inflow - cover))[must]
            self.constraints.append(rows @ self.flow <= cp.multiply(-(largest * at_root)[must], self.root))
        follows = np.flatnonzero(~samplers.first)
        last = np.flatnonzero(np.append(samplers.first[1:], True))
        pairs = np.arange(len(follows))
        falls = matrix(self.unit[follows] / self.unit[follows - 1], pairs, follows, len(follows))
        falls -= matrix(np.ones(len(follows)), pairs, follows - 1, len(follows))
        self.constraints += [falls @ self.flow <= 0, self.flow[last] >= 0]
        leaf = np.flatnonzero(trie.answer[samplers.child] >= 0)
        answers = matrix(self.unit[leaf] * n, trie.answer[samplers.child[leaf]], leaf, n)
        self.share = answers @ self.flow
        """|V|·q(y)."""

    def solve(self, objective: Any, *constraints: Any) -> Floats:
        """The flows found, perhaps inaccurate.

        Raises:
            SolverError: there are none.
        """
        import cvxpy as cp

        problem = cp.Problem(objective, [*self.constraints, *constraints])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an inaccurate solution is told by the certificate
            try:
                problem.solve(solver=cp.CLARABEL)
            except cp.SolverError as error:
                reason = " ".join(str(error).split())
                raise SolverError(f"the solver failed ({reason})") from None
        if self.flow.value is None:
            raise SolverError(f"the solver says {problem.status}")
        return np.asarray(self.flow.value * self.unit)


def most_diverse(samplers: Samplers, validity: float) -> Floats:
    """Flows of the most diverse sampler, conditioned on being valid: they are scaled up so that Val = 1."""
    program = _Program(samplers)
    import cvxpy as cp

    n = samplers.trie.n_answers
    entropy = cp.sum(cp.entr(program.share)) / n
    return program.solve(cp.Maximize(entropy), cp.sum(program.share) / n == 1, program.root <= 1.0 / validity)


def most_distinct(samplers: Samplers, n: int, near: Floats) -> Floats:
    """Flows that miss the fewest answers; (1 − q)ⁿ is taken as an exponential with its slope at `near`.

    An exponential is what the solver does well, and where it stops at `near` the two problems have the same
    optimum. Slopes count only relative to each other.
    """
    program = _Program(samplers)
    import cvxpy as cp

    log_slope = (n - 1) * np.log1p(-np.minimum(near, 1.0 - 1e-12))
    log_slope = np.maximum(log_slope - log_slope.max(), -30.0)
    # The curvature of (1 − q)ⁿ too, unless that is too steep to be seen from q = 0.
    rate = np.minimum((n - 1) / np.maximum(1.0 - near, 1e-12), 20.0 / np.maximum(near, 1e-12))
    exponent = log_slope - np.log(rate) + rate * near
    missed = cp.exp(exponent - cp.multiply(rate / samplers.trie.n_answers, program.share))
    return program.solve(cp.Minimize(cp.sum(missed)), program.root == 1)
