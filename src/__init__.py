"""How many Monte Carlo samples per data point does training a variational autoencoder need?"""
