"""What a device without a network needs: wheels for exactly its platform, our runtime, and the kit made of them."""
