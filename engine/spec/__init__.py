"""The spec: YAML to typed nodes, and every error of it in one go with file, line, column and the nearest name.

`load` is the door and `nodes` what comes out. On the way, `composer`, `document`, `values` and `environment` turn text
into plain values with places; `forms` says what may stand where, and `validate` and `sentences` turn what pydantic
says of it into problems; `rounds` unrolls what repeats, by what names mean (`loop`) where they stand (`references`);
`models`, `tables`, `uses`, `attachments` and `stop_rule` read the parts, `graph` checks the whole, and `queries` and
`sql_walk` say what SQL reads. `selection` and `json_schema` stand beside the way.
"""
