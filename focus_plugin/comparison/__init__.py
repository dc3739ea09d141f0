"""Comparing starts and recipes by short trainings: the plan, its finished runs, and what follows from them."""
