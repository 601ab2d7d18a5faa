"""Other backends and precisions of a model, each behind a parity gate."""
