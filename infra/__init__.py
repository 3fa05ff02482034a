"""Settings, engines and stores: everything that the other rooms stand on."""
