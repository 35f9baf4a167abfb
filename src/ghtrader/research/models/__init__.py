"""Model families, one per file, behind `base.ModelFamily`."""
