"""Application services: the bodies of jobs. Pure of rendering; they receive values and ports."""
