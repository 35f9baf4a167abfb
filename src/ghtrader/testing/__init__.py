"""The public test kit: fakes, fault wrappers, fake clock, contract suites, tick builders."""
