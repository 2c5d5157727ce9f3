"""One package a technology; each adapter knows the domain and no other adapter."""
