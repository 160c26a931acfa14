"""What was found out about networks, told: as tables for people, as plain data for programs."""
