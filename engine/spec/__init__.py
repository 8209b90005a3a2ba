"""The spec: YAML to typed nodes, and every error of it in one go with file, line, column and the nearest name.

`load` is the door. `document`, `composer`, `values` and `environment` turn text into plain values with places; `forms`
says what may stand where, `validate` turns what pydantic says of it into sentences, and `nodes` is what comes out.
"""
