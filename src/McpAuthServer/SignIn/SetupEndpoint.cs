using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Forms;
using McpAuthServer.Abuse;
using McpAuthServer.Http;
using McpAuthServer.Pages;
using McpAuthServer.People;
using McpAuthServer.Registry.Apply;

namespace McpAuthServer.SignIn;

/// <summary>Opens a one-time link: the first administrator makes their account, a registered user sets a password.</summary>
internal static class SetupEndpoint
{
    public const string LinkField = "t", NameField = "name", EmailField = "email", PasswordField = "password";

    /// <summary>A registered user who was disabled, or has no address to sign in with any more, is not set up.</summary>
    private static PageResult InvalidLink =>
        PageResult.Error(StatusCodes.Status403Forbidden, "This link is not valid", "It works once and for one day, and a newer link takes its place. Ask whoever gave it to you for another.");

    public static void MapSetup(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Names.Paths.Setup, async (HttpContext context, SetupLinks links, PersonStore people) =>
        {
            var secret = context.Request.Query[LinkField] is [{ } text] ? text : null;
            return await OpenAsync(links, people, secret, context.RequestAborted) is (_, var person) ? Page(secret!, person) : InvalidLink;
        });
        routes.MapPost(Names.Paths.Setup, HandleAsync).Limited(Limit.SignIn);
    }

    private static async Task<IResult> HandleAsync(HttpContext context, Issuer issuer, SetupLinks links, PersonStore people)
    {
        var (form, refusal) = await PageForm.ReadAsync(context, AuditTypes.SetupRefused);
        if (form is null)
            return refusal!;
        if (await OpenAsync(links, people, form[LinkField], context.RequestAborted) is not var (link, person))
            return InvalidLink;
        if (person is null && Problem(form) is { } problem)
            return Page(form[LinkField]!, person, form, problem);
        var password = form[PasswordField] ?? "";
        var set = person is null
            ? await links.CreateAdministratorAsync(link, form[NameField]!, form[EmailField]!, password)
            : await links.SetPasswordAsync(link, person, password);
        return set.TryGet(out _, out var fault) ? new SeeOther(issuer.BasePath + Names.Paths.SignIn)
            : fault.Code == SetupLinks.Invalid ? InvalidLink
            : Page(form[LinkField]!, person, form, fault.Message);
    }

    private static async Task<(SetupLink Link, Person? Person)?> OpenAsync(SetupLinks links, PersonStore people, string? secret, CancellationToken cancel)
    {
        if (await links.FindAsync(secret, cancel) is not { } link)
            return null;
        if (link.UserId is null)
            return (link, null);
        return await people.Find(link.UserId, cancel) is { Enabled: true, Email: not null } person ? (link, person) : null;
    }

    private static string? Problem(StrictForm form) =>
        form[NameField] is not { } name || !ApplyGrammar.IsLine(name, ApplyGrammar.NameLength) ? "Tell your name."
        : form[EmailField] is not { } email || !ApplyGrammar.IsEmail(email) ? "Tell an e-mail address that can be one."
        : null;

    private static PageResult Page(string secret, Person? person, StrictForm? form = null, string problem = "") =>
        PageResult.Of<SetupPage>(person is null ? "Set up the first administrator" : "Set your password", new Dictionary<string, object>
        {
            [nameof(SetupPage.Link)] = secret, [nameof(SetupPage.Problem)] = problem, [nameof(SetupPage.IsFirst)] = person is null,
            [nameof(SetupPage.Name)] = person?.Name ?? form?[NameField] ?? "", [nameof(SetupPage.Email)] = person?.Email ?? form?[EmailField] ?? "",
        });
}
