"""What is known about models, a file for each kind of maker; `model_capabilities.py` reads them."""
