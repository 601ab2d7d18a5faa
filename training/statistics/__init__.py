"""How sure a figure is, which of two models is better, where a model is weak, and whether the data have moved on."""
