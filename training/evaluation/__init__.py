"""Scores a model beside baselines and on the behaviour suite."""
