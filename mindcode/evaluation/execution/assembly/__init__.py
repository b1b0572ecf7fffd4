"""How answers and tests become one program, a file per language, and how that is compiled and run."""
