using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Device;

/// <summary>What a device and a person do on the way to a token.</summary>
internal static class DeviceSteps
{
    public static async Task<DeviceResponse> BeginAsync(this Scenario s, Dictionary<string, string>? change = null, string? proof = null) =>
        await (await s.BeginRawAsync(change, proof)).ReadAsync(ProtocolJson.Default.DeviceResponse);

    public static Task<HttpResponseMessage> BeginRawAsync(this Scenario s, Dictionary<string, string>? change = null, string? proof = null)
    {
        var form = new Dictionary<string, string> { ["client_id"] = s.PublicClient, ["resource"] = s.Resource, ["scope"] = Names.Scopes.ToolsRead };
        foreach (var (name, value) in change ?? [])
            form[name] = value;
        return s.PostAsync(Names.Paths.DeviceAuthorization, form, proof);
    }

    public static Task<HttpResponseMessage> PollAsync(this Scenario s, DeviceResponse device, string? proof = null) => s.PostAsync(
        Names.Paths.Token, new() { ["grant_type"] = Names.Device.GrantType, ["device_code"] = device.DeviceCode, ["client_id"] = s.PublicClient }, proof);

    /// <summary>The error of a poll that is told to wait, or that it was of no use.</summary>
    public static async Task<string> ErrorAsync(this Scenario s, DeviceResponse device)
    {
        var mark = await s.Server.NowAsync();
        var answer = await s.PollAsync(device);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        // Waiting is no refusal: it is not recorded.
        Assert.Empty(await s.Server.SinceAsync(mark));
        return (await answer.ReadErrorAsync()).Error;
    }

    public static async Task<TestPage> TypeAsync(this TestBrowser browser, string code) =>
        await browser.PostFormAsync(await browser.GetAsync(Names.Paths.Device), new() { ["user_code"] = code }, Names.Paths.Device);

    public static async Task<TestPage> AskedAsync(this TestBrowser browser, DeviceResponse device) => await browser.FollowAsync(await browser.TypeAsync(device.UserCode));

    public static async Task<TestPage> AnswerAsync(this TestBrowser browser, DeviceResponse device, string decision) =>
        await browser.PostFormAsync(await browser.AskedAsync(device), new() { ["decision"] = decision }, Names.Paths.Consent);

    public static async Task<HttpResponseMessage> PostAsync(this Scenario s, string path, Dictionary<string, string> form, string? proof = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new FormUrlEncodedContent(form) };
        if (proof is not null)
            request.Headers.Add("DPoP", proof);
        return await s.Server.Client().SendAsync(request);
    }
}
