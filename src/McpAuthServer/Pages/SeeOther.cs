namespace McpAuthServer.Pages;

/// <summary>
/// Sends the browser on after a form: always 303, which makes a GET of it. 307 would repeat the form, password and all, at the new place
/// (RFC 9700 §4.12).
/// </summary>
/// <param name="location">A path of this server, or an address that was validated.</param>
internal sealed class SeeOther(string location) : IResult
{
    public Task ExecuteAsync(HttpContext httpContext)
    {
        var response = httpContext.Response;
        response.StatusCode = StatusCodes.Status303SeeOther;
        response.Headers.Location = location;
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers.CacheControl = "no-store";
        return Task.CompletedTask;
    }
}
