using McpAuthServer.People;

namespace McpAuthServer.Pages;

/// <summary>Who sits before the browser, and since when.</summary>
internal sealed record SignedIn(Person Person, SignInSession Session);
