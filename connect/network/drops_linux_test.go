package network

// drops is what the list of sockets is read with.
var drops = dropsIn
