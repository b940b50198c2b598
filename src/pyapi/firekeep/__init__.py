"""Firebase Realtime Database client that works offline."""
