namespace McpAuthServer.Pages;

/// <summary>What every page of one answer has in common; components take it as a cascading parameter.</summary>
/// <param name="BasePath">The issuer's path, before every path of ours.</param>
/// <param name="Host">The issuer's host, and port if it has one.</param>
/// <param name="FormToken">The antiforgery token; asking for it sets its cookie, so a page without a form sets none.</param>
public sealed record Frame(string BasePath, string Host, string Stylesheet, string Icon, Func<string> FormToken);
