"""`python -m tunixrt`: the command line, under the same name as the installed script."""

from tunixrt.cli.main import main

if __name__ == "__main__":
    main()
