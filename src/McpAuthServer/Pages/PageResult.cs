using System.Globalization;
using System.Text;
using McpAuthServer.Http;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;

namespace McpAuthServer.Pages;

/// <summary>One page: a Razor component inside <see cref="Layout"/>, rendered once on the server. It works without scripts.</summary>
internal sealed record PageResult : IResult
{
    private readonly Type page;
    private readonly string title;
    private readonly IDictionary<string, object>? parameters;

    private PageResult(Type page, string title, IDictionary<string, object>? parameters) => (this.page, this.title, this.parameters) = (page, title, parameters);

    public int Status { get; init; } = StatusCodes.Status200OK;

    /// <summary>When to come again, in seconds.</summary>
    public int? RetryAfter { get; init; }

    /// <summary>
    /// Whether a form of the page ends, by redirects, at a program's address. Chromium applies <c>form-action</c> to every redirect that follows a form,
    /// and a program may send the browser on from there, to another site or into a scheme of its own, so such a page cannot have the directive.
    /// </summary>
    public bool LeadsOut { get; init; }

    /// <summary>The one script that may run on the page; null = none may.</summary>
    public Asset? Script { get; init; }

    /// <param name="title">The heading, and the title of the document.</param>
    /// <param name="parameters">The component's parameters by name.</param>
    public static PageResult Of<TPage>(string title, IDictionary<string, object>? parameters = null) where TPage : IComponent =>
        new(typeof(TPage), title, parameters);

    /// <summary>A refusal that stays here: nothing redirects, and whatever is in the text is text.</summary>
    public static PageResult Error(int status, string title, string text) =>
        new(typeof(ErrorPage), title, new Dictionary<string, object> { [nameof(ErrorPage.Text)] = text }) { Status = status, RetryAfter = status == StatusCodes.Status503ServiceUnavailable ? 1 : null };

    public static PageResult From(OAuthError error) => Error(error.Status, error.Status switch
    {
        StatusCodes.Status413PayloadTooLarge => "That was too much",
        StatusCodes.Status429TooManyRequests => "That was too often",
        StatusCodes.Status503ServiceUnavailable => "Try again in a moment",
        >= 500 => "Something went wrong",
        _ => "The request could not be read",
    }, error.Description) with { RetryAfter = error.RetryAfter };

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var services = httpContext.RequestServices;
        var issuer = services.GetRequiredService<Issuer>();
        var frame = new Frame(issuer.BasePath, new Uri(issuer.Value).Authority, issuer.BasePath + Asset.Stylesheet.Path, issuer.BasePath + Asset.Icon.Path,
            () => services.GetRequiredService<IAntiforgery>().GetAndStoreTokens(httpContext).RequestToken!);
        await using var renderer = new HtmlRenderer(services, services.GetRequiredService<ILoggerFactory>());
        var html = await renderer.Dispatcher.InvokeAsync(async () => (await renderer.RenderComponentAsync<Layout>(ParameterView.FromDictionary(new Dictionary<string, object?>
        {
            [nameof(Layout.Title)] = title, [nameof(Layout.Page)] = page, [nameof(Layout.Parameters)] = parameters, [nameof(Layout.Shared)] = frame,
            [nameof(Layout.Script)] = Script is null ? null : issuer.BasePath + Script.Path,
        }))).ToHtmlString());

        var response = httpContext.Response;
        response.StatusCode = Status;
        response.ContentType = "text/html; charset=utf-8";
        response.Headers.ContentSecurityPolicy =
            $"default-src 'none'; style-src 'self'; img-src 'self'; {(Script is null ? "" : "script-src 'self'; ")}{(LeadsOut ? "" : "form-action 'self'; ")}frame-ancestors 'none'; base-uri 'none'";
        response.Headers.XFrameOptions = "DENY";
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers.CacheControl = "no-store";
        if (RetryAfter is { } seconds)
            response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        var bytes = Encoding.UTF8.GetBytes(html);
        response.ContentLength = bytes.Length;
        await response.Body.WriteAsync(bytes, httpContext.RequestAborted);
    }
}
