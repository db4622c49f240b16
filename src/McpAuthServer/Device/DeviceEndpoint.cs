using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Abuse;
using McpAuthServer.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Http;
using McpAuthServer.Pages;

namespace McpAuthServer.Device;

/// <summary>
/// Where a person says which device they sit before (RFC 8628 §3.3). Nothing is decided here, and the address decides nothing either: it only fills in
/// the code; the person sends it, and is then asked on the consent page, signed in.
/// </summary>
internal static class DeviceEndpoint
{
    public static void MapDevice(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Names.Paths.Device, (HttpContext context) =>
            Page(UserCode.Read(context.Request.Query[Names.Device.UserCode] is [{ } text] ? text : null) ?? "", "", StatusCodes.Status200OK));
        routes.MapPost(Names.Paths.Device, HandleAsync).Limited(Limit.UserCode);
        routes.MapGet(Names.Paths.DeviceDone, () => PageResult.Of<DeviceDonePage>("Go back to your device"));
    }

    private static async Task<IResult> HandleAsync(HttpContext context, DeviceRequests devices, Interactions interactions, AuditTrail audit, Issuer issuer, TimeProvider time)
    {
        // 1. Our form, from this browser.
        var (form, refusal) = await PageForm.ReadAsync(context, AuditTypes.DeviceRefused);
        if (form is null)
            return refusal!;

        // 2. A request that waits. Whatever is wrong with the code, the answer is the same.
        if (UserCode.Read(form[Names.Device.UserCode]) is not { } typed || await devices.TypedAsync(typed, context.RequestAborted) is not { } waiting)
        {
            await audit.RefuseAsync(audit.Refusal(AuditTypes.DeviceRefused, "unknown_code"), []);
            return Page("", "No device waits under this code. It is good for ten minutes: look again at the device, or start again on it.", StatusCodes.Status400BadRequest);
        }
        return new SeeOther($"{issuer.BasePath}{Names.Paths.Consent}?continue={interactions.Seal(new Interaction("", time.GetUtcNow(), waiting))}");
    }

    private static PageResult Page(string code, string problem, int status) => PageResult.Of<DevicePage>("Connect a device", new Dictionary<string, object>
    {
        [nameof(DevicePage.Code)] = code, [nameof(DevicePage.Problem)] = problem,
    }) with { Status = status };
}
