from safbage.cli import main

main()
