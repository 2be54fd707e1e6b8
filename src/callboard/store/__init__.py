"""The engines that hold the rows. Each is one folder and one line in `callboard.server`; they know the contract and not each other."""
